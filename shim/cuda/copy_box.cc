// Two- and three-dimensional copies, and copies of arrays. Rows of pageable memory travel packed; everything
// else is named to the executor's driver as it is.
#include <algorithm>

#include "shim/cuda/capture.h"
#include "shim/cuda/coherence.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"

namespace vgpu::shim {
namespace {

using protocol::messages::BoxSide;
using protocol::messages::CopyBox;
using protocol::messages::Place;

// One side as the program describes it.
struct Side {
  CUmemorytype type;
  uint64_t address;  // of memory, host or device
  CUarray array;
  size_t pitchBytes, rows;
  size_t xBytes, y, z;
};

struct Box {
  Side from, to;
  size_t widthBytes, height, depth;
  CUstream stream;
  bool perThread, asynchronous;
};

struct Resolved {
  BoxSide side{};
  bool pageable = false;
  std::optional<Allocation> allocation;
};

uint64_t offsetOf(const Side& side, size_t row, size_t slice) {
  return (side.z + slice) * side.pitchBytes * side.rows + (side.y + row) * side.pitchBytes + side.xBytes;
}

CUresult checkPitch(const Side& side, const Box& box) {
  if (box.height > 1 && side.pitchBytes < side.xBytes + box.widthBytes) return CUDA_ERROR_INVALID_VALUE;
  return box.depth > 1 && side.rows < side.y + box.height ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult resolveMemory(const Submission& submission, const Side& side, const Box& box, Resolved& out) {
  if (side.address == 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult status = checkPitch(side, box); status != CUDA_SUCCESS) return status;
  out.allocation = submission.session->allocations().find(side.address);
  if (!out.allocation) {
    out.pageable =
        side.type != CU_MEMORYTYPE_DEVICE && !submission.session->addresses().contains(side.address);
    return out.pageable ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  const uint64_t spanBytes = offsetOf(side, box.height - 1, box.depth - 1) + box.widthBytes;
  if (!submission.session->allocations().covers(side.address, spanBytes)) return CUDA_ERROR_INVALID_VALUE;
  out.side = {Place::Memory,   0,         deviceSide(*out.allocation, side.address),
              side.pitchBytes, side.rows, side.xBytes,
              side.y,          side.z};
  return CUDA_SUCCESS;
}

CUresult resolve(const Submission& submission, const Side& side, const Box& box, Resolved& out) {
  if (side.type != CU_MEMORYTYPE_ARRAY) return resolveMemory(submission, side, box, out);
  if (!submission.session->arrays.find(side.array)) return CUDA_ERROR_INVALID_HANDLE;
  out.side = {Place::Array, 0, reinterpret_cast<uint64_t>(side.array), 0, 0, side.xBytes, side.y, side.z};
  return CUDA_SUCCESS;
}

constexpr BoxSide kAttached{Place::Attached, 0, 0, 0, 0, 0, 0, 0};

// A part of the box that fits one slot: some bytes of some rows of one slice.
struct Part {
  size_t x, row, slice, widthBytes, rows;
};

template <class Visit>
CUresult eachPart(const Box& box, size_t slotBytes, Visit&& visit) {
  const size_t widthBytes = std::min(box.widthBytes, slotBytes);
  const size_t rows = std::max<size_t>(1, slotBytes / widthBytes);
  for (size_t slice = 0; slice < box.depth; ++slice) {
    for (size_t row = 0; row < box.height; row += rows) {
      for (size_t x = 0; x < box.widthBytes; x += widthBytes) {
        const Part part{x, row, slice, std::min(widthBytes, box.widthBytes - x),
                        std::min(rows, box.height - row)};
        if (const CUresult status = visit(part); status != CUDA_SUCCESS) return status;
      }
    }
  }
  return CUDA_SUCCESS;
}

BoxSide advanced(BoxSide side, const Part& part) {
  side.xBytes += part.x;
  side.y += part.row;
  side.z += part.slice;
  return side;
}

std::byte* rowOf(const Side& side, const Part& part, size_t row) {
  return reinterpret_cast<std::byte*>(side.address + offsetOf(side, part.row + row, part.slice) + part.x);
}

CUresult uploadBox(const Submission& submission, Stream& stream, const Box& box, const Resolved& to) {
  std::vector<std::byte> packed;
  return eachPart(box, submission.session->channel().limits().slotBytes, [&](const Part& part) {
    packed.resize(part.widthBytes * part.rows);
    for (size_t row = 0; row < part.rows; ++row)
      std::memcpy(packed.data() + row * part.widthBytes, rowOf(box.from, part, row), part.widthBytes);
    const CopyBox message{kAttached, advanced(to.side, part), part.widthBytes, part.rows, 1, stream.wire};
    uint64_t sequence = 0;
    const CUresult status =
        postWithData(submission, protocol::call::CopyBox, asBytes(message), packed, &sequence);
    stream.posted.raise(sequence);
    return status;
  });
}

CUresult downloadBox(const Submission& submission, Stream& stream, const Box& box, const Resolved& from) {
  std::vector<std::byte> packed;
  transport::GuestChannel& channel = submission.session->channel();
  const CUresult status = eachPart(box, channel.limits().slotBytes, [&](const Part& part) {
    packed.resize(part.widthBytes * part.rows);
    const CopyBox message{advanced(from.side, part), kAttached, part.widthBytes, part.rows, 1, stream.wire};
    const auto download = channel.beginDownload(protocol::call::CopyBoxDownload, submission.thread->id(),
                                                asBytes(message), packed);
    const transport::Reply reply = channel.finishDownload(download);
    if (reply.lost) return kSessionLost;
    if (reply.status != CUDA_SUCCESS) return note(submission, static_cast<CUresult>(reply.status));
    if (reply.payloadBytes != packed.size()) return CUDA_ERROR_UNKNOWN;
    for (size_t row = 0; row < part.rows; ++row)
      std::memcpy(rowOf(box.to, part, row), packed.data() + row * part.widthBytes, part.widthBytes);
    return CUDA_SUCCESS;
  });
  if (status == CUDA_SUCCESS) finishWait(submission);
  return status;
}

CUresult copyInSession(const Submission& submission, Stream& stream, const Box& box, const Resolved& from,
                       const Resolved& to) {
  const CopyBox message{from.side, to.side, box.widthBytes, box.height, box.depth, stream.wire};
  uint64_t sequence = 0;
  const CUresult status = postMessage<protocol::call::CopyBox>(submission, message, &sequence);
  stream.posted.raise(sequence);
  return status;
}

CUresult copyOnHost(const Submission& submission, Stream& stream, const Box& box) {
  if (const CUresult status = waitForStream(submission, stream); status != CUDA_SUCCESS) return status;
  const Part whole{0, 0, 0, box.widthBytes, box.height};
  for (size_t slice = 0; slice < box.depth; ++slice) {
    Part part = whole;
    part.slice = slice;
    for (size_t row = 0; row < box.height; ++row)
      std::memmove(rowOf(box.to, part, row), rowOf(box.from, part, row), box.widthBytes);
  }
  return CUDA_SUCCESS;
}

CUresult copyBox(const Box& box) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Stream* stream = resolveStream(submission, box.stream, box.perThread);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  CUresult status = refuseLegacyDuringCapture(submission, *stream);
  if (status == CUDA_SUCCESS && !box.asynchronous) status = refuseWhileCapturing(submission);
  if (status != CUDA_SUCCESS) return status;
  if (box.widthBytes == 0 || box.height == 0 || box.depth == 0) return CUDA_SUCCESS;
  Resolved from, to;
  status = resolve(submission, box.from, box, from);
  if (status == CUDA_SUCCESS) status = resolve(submission, box.to, box, to);
  if (status != CUDA_SUCCESS) return status;

  if (from.pageable && to.pageable) return copyOnHost(submission, *stream, box);
  if (from.allocation && from.allocation->coherence) status = pushToDevice(submission);
  if (status != CUDA_SUCCESS) return status;
  if (to.pageable) return downloadBox(submission, *stream, box, from);
  status = from.pageable ? uploadBox(submission, *stream, box, to)
                         : copyInSession(submission, *stream, box, from, to);
  if (status != CUDA_SUCCESS) return status;
  if (to.allocation && to.allocation->coherence) deviceWillWrite(*to.allocation, *stream);
  const auto visible = [](const Resolved& side) { return side.allocation && side.allocation->hostVisible(); };
  return !box.asynchronous && (visible(from) || visible(to)) ? waitForStream(submission, *stream)
                                                             : CUDA_SUCCESS;
}

uint64_t memoryOf(CUmemorytype type, const void* host, CUdeviceptr device) {
  return type == CU_MEMORYTYPE_HOST ? reinterpret_cast<uint64_t>(host) : device;
}

Box boxOf(const CUDA_MEMCPY2D& copy, CUstream stream, bool perThread, bool asynchronous) {
  return {.from = {copy.srcMemoryType, memoryOf(copy.srcMemoryType, copy.srcHost, copy.srcDevice),
                   copy.srcArray, copy.srcPitch, copy.srcY + copy.Height, copy.srcXInBytes, copy.srcY, 0},
          .to = {copy.dstMemoryType, memoryOf(copy.dstMemoryType, copy.dstHost, copy.dstDevice),
                 copy.dstArray, copy.dstPitch, copy.dstY + copy.Height, copy.dstXInBytes, copy.dstY, 0},
          .widthBytes = copy.WidthInBytes,
          .height = copy.Height,
          .depth = 1,
          .stream = stream,
          .perThread = perThread,
          .asynchronous = asynchronous};
}

template <class Copy3D>
Box boxOf3D(const Copy3D& copy, CUstream stream, bool perThread, bool asynchronous) {
  return {.from = {copy.srcMemoryType, memoryOf(copy.srcMemoryType, copy.srcHost, copy.srcDevice),
                   copy.srcArray, copy.srcPitch, copy.srcHeight, copy.srcXInBytes, copy.srcY, copy.srcZ},
          .to = {copy.dstMemoryType, memoryOf(copy.dstMemoryType, copy.dstHost, copy.dstDevice),
                 copy.dstArray, copy.dstPitch, copy.dstHeight, copy.dstXInBytes, copy.dstY, copy.dstZ},
          .widthBytes = copy.WidthInBytes,
          .height = copy.Height,
          .depth = copy.Depth,
          .stream = stream,
          .perThread = perThread,
          .asynchronous = asynchronous};
}

CUresult copy2D(const CUDA_MEMCPY2D* copy, CUstream stream, bool perThread, bool asynchronous) {
  return copy ? copyBox(boxOf(*copy, stream, perThread, asynchronous)) : CUDA_ERROR_INVALID_VALUE;
}
template <class Copy3D>
CUresult copy3D(const Copy3D* copy, CUstream stream, bool perThread, bool asynchronous) {
  return copy ? copyBox(boxOf3D(*copy, stream, perThread, asynchronous)) : CUDA_ERROR_INVALID_VALUE;
}

Side lineOf(CUarray array, size_t offset) { return {CU_MEMORYTYPE_ARRAY, 0, array, 0, 0, offset, 0, 0}; }
Side lineOf(CUmemorytype type, uint64_t address, size_t bytes) {
  return {type, address, nullptr, bytes, 1, 0, 0, 0};
}

CUresult copyLine(const Side& to, const Side& from, size_t bytes, CUstream stream, bool perThread,
                  bool asynchronous) {
  return copyBox({.from = from,
                  .to = to,
                  .widthBytes = bytes,
                  .height = 1,
                  .depth = 1,
                  .stream = stream,
                  .perThread = perThread,
                  .asynchronous = asynchronous});
}
uint64_t number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;

#define BOX_VARIANTS(perThread, ds, sz)                                                                    \
  VGPU_EXPORT CUresult cuMemcpy2D_v2##ds(const CUDA_MEMCPY2D* copy) {                                      \
    return copy2D(copy, nullptr, perThread, false);                                                        \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpy2DUnaligned_v2##ds(const CUDA_MEMCPY2D* copy) {                             \
    return copy2D(copy, nullptr, perThread, false);                                                        \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpy2DAsync_v2##sz(const CUDA_MEMCPY2D* copy, CUstream stream) {                \
    return copy2D(copy, stream, perThread, true);                                                          \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpy3D_v2##ds(const CUDA_MEMCPY3D* copy) {                                      \
    return copy3D(copy, nullptr, perThread, false);                                                        \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpy3DAsync_v2##sz(const CUDA_MEMCPY3D* copy, CUstream stream) {                \
    return copy3D(copy, stream, perThread, true);                                                          \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpy3DPeer##ds(const CUDA_MEMCPY3D_PEER* copy) {                                \
    return copy3D(copy, nullptr, perThread, false);                                                        \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpy3DPeerAsync##sz(const CUDA_MEMCPY3D_PEER* copy, CUstream stream) {          \
    return copy3D(copy, stream, perThread, true);                                                          \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpyHtoA_v2##ds(CUarray to, size_t offset, const void* from, size_t bytes) {    \
    return copyLine(lineOf(to, offset), lineOf(CU_MEMORYTYPE_HOST, number(from), bytes), bytes, nullptr,   \
                    perThread, false);                                                                     \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpyAtoH_v2##ds(void* to, CUarray from, size_t offset, size_t bytes) {          \
    return copyLine(lineOf(CU_MEMORYTYPE_HOST, number(to), bytes), lineOf(from, offset), bytes, nullptr,   \
                    perThread, false);                                                                     \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpyDtoA_v2##ds(CUarray to, size_t offset, CUdeviceptr from, size_t bytes) {    \
    return copyLine(lineOf(to, offset), lineOf(CU_MEMORYTYPE_DEVICE, from, bytes), bytes, nullptr,         \
                    perThread, false);                                                                     \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpyAtoD_v2##ds(CUdeviceptr to, CUarray from, size_t offset, size_t bytes) {    \
    return copyLine(lineOf(CU_MEMORYTYPE_DEVICE, to, bytes), lineOf(from, offset), bytes, nullptr,         \
                    perThread, false);                                                                     \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpyAtoA_v2##ds(CUarray to, size_t toOffset, CUarray from, size_t fromOffset,   \
                                           size_t bytes) {                                                 \
    return copyLine(lineOf(to, toOffset), lineOf(from, fromOffset), bytes, nullptr, perThread, false);     \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpyHtoAAsync_v2##sz(CUarray to, size_t offset, const void* from, size_t bytes, \
                                                CUstream stream) {                                         \
    return copyLine(lineOf(to, offset), lineOf(CU_MEMORYTYPE_HOST, number(from), bytes), bytes, stream,    \
                    perThread, true);                                                                      \
  }                                                                                                        \
  VGPU_EXPORT CUresult cuMemcpyAtoHAsync_v2##sz(void* to, CUarray from, size_t offset, size_t bytes,       \
                                                CUstream stream) {                                         \
    return copyLine(lineOf(CU_MEMORYTYPE_HOST, number(to), bytes), lineOf(from, offset), bytes, stream,    \
                    perThread, true);                                                                      \
  }

BOX_VARIANTS(false, , )
BOX_VARIANTS(true, _ptds, _ptsz)
