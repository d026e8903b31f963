// Two- and three-dimensional copies, and copies of parts of arrays.
#include "cpu_driver/api/transfer.h"

using namespace vgpu::cpu;

namespace {

constexpr auto kWait = Waiting::Synchronous;
constexpr auto kGoOn = Waiting::Asynchronous;

// One side of a copy descriptor, in the widest form (CUDA_MEMCPY3D).
struct BoxSide {
  CUmemorytype type;
  size_t x, y, z;  // in bytes, rows, slices
  const void* host;
  CUdeviceptr device;
  CUarray array;
  size_t pitch, height;
};

CUresult ofArray(const BoxSide& box, size_t width, size_t height, size_t depth, Side* side) {
  const Array* array = driver().arrays.find(box.array);
  if (!array) return CUDA_ERROR_INVALID_HANDLE;
  const size_t rowBytes = array->width() * array->elementBytes;
  if (box.x % array->elementBytes != 0 || width % array->elementBytes != 0) return CUDA_ERROR_INVALID_VALUE;
  if (box.x > rowBytes || width > rowBytes - box.x) return CUDA_ERROR_INVALID_VALUE;
  if (box.y > array->rows() || height > array->rows() - box.y) return CUDA_ERROR_INVALID_VALUE;
  if (box.z > array->slices() || depth > array->slices() - box.z) return CUDA_ERROR_INVALID_VALUE;
  side->place = Place::Array;
  side->layout = array->layout;
  side->layout.base += box.z * array->layout.sliceBytes + box.y * array->layout.pitchBytes + box.x;
  return CUDA_SUCCESS;
}

CUresult sideOf(const BoxSide& box, size_t width, size_t height, size_t depth, Side* side) {
  if (box.type == CU_MEMORYTYPE_ARRAY) return ofArray(box, width, height, depth, side);
  // A pitch of 0 stands for rows without gaps, a height of 0 for slices without gaps.
  const size_t pitch = box.pitch != 0 ? box.pitch : width;
  const size_t rows = box.height != 0 ? box.height : height;
  if (height > 1 && (pitch < width || box.x > pitch - width)) return CUDA_ERROR_INVALID_VALUE;
  if (depth > 1 && (rows < height || box.y > rows - height)) return CUDA_ERROR_INVALID_VALUE;
  uintptr_t base = 0;
  switch (box.type) {
    case CU_MEMORYTYPE_HOST:
      base = reinterpret_cast<uintptr_t>(box.host);
      side->place = Place::Host;
      break;
    case CU_MEMORYTYPE_DEVICE:
      base = box.device;
      side->place = Place::Device;
      break;
    case CU_MEMORYTYPE_UNIFIED: {
      base = box.device;
      const auto allocation = driver().memory().addresses().find(base);
      side->place = allocation && allocation->onDevice() ? Place::Device : Place::Host;
      break;
    }
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (base == 0) return CUDA_ERROR_INVALID_VALUE;
  const size_t slice = pitch * rows;
  side->layout = {reinterpret_cast<std::byte*>(base) + box.z * slice + box.y * pitch + box.x, pitch, slice};
  return CUDA_SUCCESS;
}

CUresult copyBox(const BoxSide& to, const BoxSide& from, size_t width, size_t height, size_t depth,
                 CUstream handle, Waiting waiting) {
  const auto body = [&](Context& context) -> CUresult {
    Stream* stream = findStream(context, handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (width == 0 || height == 0 || depth == 0) return CUDA_SUCCESS;
    Side destination, source;
    if (const CUresult bad = sideOf(to, width, height, depth, &destination); bad != CUDA_SUCCESS) return bad;
    if (const CUresult bad = sideOf(from, width, height, depth, &source); bad != CUDA_SUCCESS) return bad;
    return transfer(context, *stream, destination, source, width, height, depth, waiting);
  };
  return waiting == Waiting::Synchronous ? withContextUncaptured(body) : withContext(body);
}

CUresult copy2D(const CUDA_MEMCPY2D* copy, CUstream stream, Waiting waiting) {
  if (!copy) return CUDA_ERROR_INVALID_VALUE;
  const BoxSide to{copy->dstMemoryType, copy->dstXInBytes, copy->dstY,     0, copy->dstHost,
                   copy->dstDevice,     copy->dstArray,    copy->dstPitch, 0};
  const BoxSide from{copy->srcMemoryType, copy->srcXInBytes, copy->srcY,     0, copy->srcHost,
                     copy->srcDevice,     copy->srcArray,    copy->srcPitch, 0};
  return copyBox(to, from, copy->WidthInBytes, copy->Height, 1, stream, waiting);
}

template <class Copy>
CUresult copy3D(const Copy& copy, CUstream stream, Waiting waiting) {
  // Mipmap levels come as arrays of their own; other values here mean nothing that exists.
  if (copy.srcLOD != 0 || copy.dstLOD != 0) return CUDA_ERROR_INVALID_VALUE;
  const BoxSide to{copy.dstMemoryType, copy.dstXInBytes, copy.dstY,     copy.dstZ,     copy.dstHost,
                   copy.dstDevice,     copy.dstArray,    copy.dstPitch, copy.dstHeight};
  const BoxSide from{copy.srcMemoryType, copy.srcXInBytes, copy.srcY,     copy.srcZ,     copy.srcHost,
                     copy.srcDevice,     copy.srcArray,    copy.srcPitch, copy.srcHeight};
  return copyBox(to, from, copy.WidthInBytes, copy.Height, copy.Depth, stream, waiting);
}

CUresult copy3DPeer(const CUDA_MEMCPY3D_PEER* copy, CUstream stream, Waiting waiting) {
  if (!copy) return CUDA_ERROR_INVALID_VALUE;
  if (!initialised()) return CUDA_ERROR_NOT_INITIALIZED;
  for (const CUcontext context : {copy->srcContext, copy->dstContext}) {
    if (context && !driver().findContext(context)) return CUDA_ERROR_INVALID_CONTEXT;
  }
  return copy3D(*copy, stream, waiting);
}

// A run of bytes in the first row of an array.
BoxSide inArray(CUarray array, size_t offset) {
  return {CU_MEMORYTYPE_ARRAY, offset, 0, 0, nullptr, 0, array, 0, 0};
}
BoxSide inDevice(CUdeviceptr address) {
  return {CU_MEMORYTYPE_DEVICE, 0, 0, 0, nullptr, address, nullptr, 0, 0};
}
BoxSide inHost(const void* pointer) { return {CU_MEMORYTYPE_HOST, 0, 0, 0, pointer, 0, nullptr, 0, 0}; }

}  // namespace

extern "C" {

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* copy) { return copy2D(copy, nullptr, kWait); }
CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* copy) { return copy2D(copy, nullptr, kWait); }
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* copy, CUstream stream) {
  return copy2D(copy, stream, kGoOn);
}
CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* copy) {
  return copy ? copy3D(*copy, nullptr, kWait) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* copy, CUstream stream) {
  return copy ? copy3D(*copy, stream, kGoOn) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* copy) { return copy3DPeer(copy, nullptr, kWait); }
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* copy, CUstream stream) {
  return copy3DPeer(copy, stream, kGoOn);
}

CUresult cuMemcpyDtoA_v2(CUarray to, size_t offset, CUdeviceptr from, size_t bytes) {
  return copyBox(inArray(to, offset), inDevice(from), bytes, 1, 1, nullptr, kWait);
}
CUresult cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, size_t offset, size_t bytes) {
  return copyBox(inDevice(to), inArray(from, offset), bytes, 1, 1, nullptr, kWait);
}
CUresult cuMemcpyHtoA_v2(CUarray to, size_t offset, const void* from, size_t bytes) {
  return copyBox(inArray(to, offset), inHost(from), bytes, 1, 1, nullptr, kWait);
}
CUresult cuMemcpyAtoH_v2(void* to, CUarray from, size_t offset, size_t bytes) {
  return copyBox(inHost(to), inArray(from, offset), bytes, 1, 1, nullptr, kWait);
}
CUresult cuMemcpyAtoA_v2(CUarray to, size_t toOffset, CUarray from, size_t fromOffset, size_t bytes) {
  return copyBox(inArray(to, toOffset), inArray(from, fromOffset), bytes, 1, 1, nullptr, kWait);
}
CUresult cuMemcpyHtoAAsync_v2(CUarray to, size_t offset, const void* from, size_t bytes, CUstream stream) {
  return copyBox(inArray(to, offset), inHost(from), bytes, 1, 1, stream, kGoOn);
}
CUresult cuMemcpyAtoHAsync_v2(void* to, CUarray from, size_t offset, size_t bytes, CUstream stream) {
  return copyBox(inHost(to), inArray(from, offset), bytes, 1, 1, stream, kGoOn);
}

}  // extern "C"
