#include "shim/cuda/copy.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "shim/cuda/capture.h"
#include "shim/cuda/coherence.h"
#include "shim/cuda/completion.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"
#include "shim/session/event_thread.h"

namespace vgpu::shim {

CUresult upload(const Submission& submission, Stream& stream, uint64_t destination, Bytes bytes) {
  const size_t pieceBytes = submission.session->channel().limits().slotBytes;
  for (size_t offset = 0; offset < bytes.size(); offset += pieceBytes) {
    const Bytes piece = bytes.subspan(offset, std::min(pieceBytes, bytes.size() - offset));
    const protocol::messages::CopyUpload message{destination + offset, stream.wire};
    uint64_t sequence = 0;
    const CUresult status =
        postWithData(submission, protocol::call::CopyUpload, asBytes(message), piece, &sequence);
    if (status != CUDA_SUCCESS) return status;
    stream.posted.raise(sequence);
  }
  return CUDA_SUCCESS;
}

namespace {

// Downloads under way, oldest first: the next piece is filled by the executor while an earlier one is drained
// here.
class DownloadPipeline {
 public:
  explicit DownloadPipeline(const Submission& submission)
      : submission_(submission), channel_(submission.session->channel()) {}

  void begin(const protocol::messages::CopyDownload& message, MutableBytes into) {
    while (underWay_.size() >= transport::kDownloadsInFlight) finishOldest();
    auto download = underWay_.empty() ? std::optional(start(message, into)) : tryStart(message, into);
    while (!download) {
      finishOldest();
      download = underWay_.empty() ? std::optional(start(message, into)) : tryStart(message, into);
    }
    underWay_.push_back(*download);
  }
  CUresult finish() {
    while (!underWay_.empty()) finishOldest();
    return status_;
  }

 private:
  transport::Download start(const protocol::messages::CopyDownload& message, MutableBytes into) {
    return channel_.beginDownload(protocol::call::CopyDownload, submission_.thread->id(), asBytes(message),
                                  into);
  }
  std::optional<transport::Download> tryStart(const protocol::messages::CopyDownload& message,
                                              MutableBytes into) {
    return channel_.tryBeginDownload(protocol::call::CopyDownload, submission_.thread->id(), asBytes(message),
                                     into);
  }
  void finishOldest() {
    const transport::Download oldest = underWay_.front();
    underWay_.pop_front();
    const transport::Reply reply = channel_.finishDownload(oldest);
    CUresult status = static_cast<CUresult>(reply.status);
    if (reply.lost) status = kSessionLost;
    if (status == CUDA_SUCCESS && reply.payloadBytes != oldest.wantedBytes) status = CUDA_ERROR_UNKNOWN;
    if (status_ == CUDA_SUCCESS) status_ = note(submission_, status);
  }

  const Submission& submission_;
  transport::GuestChannel& channel_;
  std::deque<transport::Download> underWay_;
  CUresult status_ = CUDA_SUCCESS;
};

}  // namespace

CUresult download(const Submission& submission, Stream& stream, MutableBytes into, uint64_t source) {
  const size_t pieceBytes = submission.session->channel().limits().slotBytes;
  const uint64_t upTo = stream.posted.get();
  DownloadPipeline pipeline(submission);
  for (size_t offset = 0; offset < into.size(); offset += pieceBytes) {
    const MutableBytes piece = into.subspan(offset, std::min(pieceBytes, into.size() - offset));
    pipeline.begin({source + offset, piece.size(), stream.wire}, piece);
  }
  const CUresult status = pipeline.finish();
  if (status != CUDA_SUCCESS) return status;
  streamDone(stream, upTo);
  settleEvents(*submission.session);
  finishWait(submission);
  return CUDA_SUCCESS;
}

namespace {

// One end of a copy: where it lies, and what the executor calls it.
struct End {
  std::optional<Allocation> allocation;
  uint64_t address = 0;

  bool inSession() const { return allocation.has_value(); }
  bool hostVisible() const { return allocation && allocation->hostVisible(); }
  // The executor has these bytes under an address of its own, and they are the program's bytes.
  bool sharedOrDevice() const { return allocation && !allocation->coherence; }
  uint64_t device() const { return deviceSide(*allocation, address); }
  uint64_t host() const {
    return onHostSide(*allocation, address) ? address : allocation->host + (address - allocation->address);
  }
};

struct Copy {
  Submission submission;
  Stream* stream = nullptr;
  End to, from;
  size_t sizeBytes = 0;
  bool asynchronous = false;
};

CUresult findEnd(const Submission& submission, uint64_t address, size_t sizeBytes, Endpoint promised,
                 End& end) {
  end.address = address;
  end.allocation = submission.session->allocations().find(address);
  if (end.allocation && !submission.session->allocations().covers(address, sizeBytes))
    return CUDA_ERROR_INVALID_VALUE;
  const bool deviceMemory = end.allocation && !end.allocation->hostVisible();
  if (promised == Endpoint::Device && !end.allocation) return CUDA_ERROR_INVALID_VALUE;
  if (promised == Endpoint::Host && deviceMemory) return CUDA_ERROR_INVALID_VALUE;
  // An address in the session's range where nothing is allocated can be no host memory.
  const bool nowhere = !end.allocation && (address == 0 || submission.session->addresses().contains(address));
  return nowhere ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult withinSession(const Copy& copy) {
  std::array<std::byte, 64> space;
  Encoder arguments(space);
  arguments.put(copy.to.device());
  arguments.put(copy.from.device());
  arguments.put<uint64_t>(copy.sizeBytes);
  arguments.put(copy.stream->wire);
  uint64_t sequence = 0;
  const CUresult status = post(copy.submission, protocol::call::cuMemcpyAsync, arguments.bytes(), &sequence);
  copy.stream->posted.raise(sequence);
  if (status == CUDA_SUCCESS && copy.to.allocation->coherence)
    deviceWillWrite(*copy.to.allocation, *copy.stream);
  return status;
}

// The source lies in memory that exists twice, and the copy must see its bytes when the stream gets there:
// the callback thread sends them then.
CUresult pushWhenReached(const Copy& copy) {
  const Allocation allocation = *copy.from.allocation;
  const uint64_t host = copy.from.host(), sizeBytes = copy.sizeBytes;
  Context* context = copy.submission.context;
  const uint64_t token = registerHostFunction([=] {
    Submission submission;
    if (enterSession(submission) != CUDA_SUCCESS) return;
    submission.context = context;
    pushRange(submission, allocation, host, sizeBytes);
  });
  uint64_t sequence = 0;
  const CUresult status =
      postMessage<protocol::call::HostFunction>(copy.submission, {copy.stream->wire, token}, &sequence);
  if (status != CUDA_SUCCESS) forgetHostFunction(token);
  copy.stream->posted.raise(sequence);
  return status;
}

CUresult bringSourceUpToDate(const Copy& copy) {
  if (copy.from.sharedOrDevice()) return CUDA_SUCCESS;
  const bool idle = streamProgress(copy.submission, *copy.stream) == Progress::Done;
  if (idle || !copy.asynchronous)
    return pushRange(copy.submission, *copy.from.allocation, copy.from.host(), copy.sizeBytes);
  return pushWhenReached(copy);
}

CUresult pageableToPageable(const Copy& copy) {
  if (const CUresult status = waitForStream(copy.submission, *copy.stream); status != CUDA_SUCCESS)
    return status;
  std::memmove(reinterpret_cast<void*>(copy.to.address), reinterpret_cast<const void*>(copy.from.address),
               copy.sizeBytes);
  return CUDA_SUCCESS;
}

CUresult run(const Copy& copy) {
  auto* toBytes = reinterpret_cast<std::byte*>(copy.to.address);
  auto* fromBytes = reinterpret_cast<const std::byte*>(copy.from.address);
  if (!copy.to.inSession() && !copy.from.inSession()) return pageableToPageable(copy);
  if (!copy.to.inSession()) {
    if (const CUresult status = bringSourceUpToDate(copy); status != CUDA_SUCCESS) return status;
    return download(copy.submission, *copy.stream, {toBytes, copy.sizeBytes}, copy.from.device());
  }
  CUresult status;
  if (!copy.from.inSession()) {
    status = upload(copy.submission, *copy.stream, copy.to.device(), {fromBytes, copy.sizeBytes});
    if (status == CUDA_SUCCESS && copy.to.allocation->coherence)
      deviceWillWrite(*copy.to.allocation, *copy.stream);
  } else {
    status = bringSourceUpToDate(copy);
    if (status == CUDA_SUCCESS) status = withinSession(copy);
  }
  // A synchronous copy that host memory takes part in is over when it returns; between device memories it is
  // not (CUDA driver API, "API synchronization behavior").
  const bool waits = !copy.asynchronous && (copy.to.hostVisible() || copy.from.hostVisible());
  return status == CUDA_SUCCESS && waits ? waitForStream(copy.submission, *copy.stream) : status;
}

}  // namespace

CUresult copy(const CopyRequest& request) {
  Copy copy;
  copy.sizeBytes = request.sizeBytes;
  copy.asynchronous = request.asynchronous;
  if (const CUresult status = enterContext(copy.submission); status != CUDA_SUCCESS) return status;
  copy.stream = resolveStream(copy.submission, request.stream, request.perThread);
  if (!copy.stream) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult status = refuseLegacyDuringCapture(copy.submission, *copy.stream);
      status != CUDA_SUCCESS)
    return status;
  if (!request.asynchronous) {
    if (const CUresult status = refuseWhileCapturing(copy.submission); status != CUDA_SUCCESS) return status;
  }
  if (request.sizeBytes == 0) return CUDA_SUCCESS;
  CUresult status = findEnd(copy.submission, request.destination, request.sizeBytes, request.to, copy.to);
  if (status == CUDA_SUCCESS)
    status = findEnd(copy.submission, request.source, request.sizeBytes, request.from, copy.from);
  return status == CUDA_SUCCESS ? run(copy) : status;
}

}  // namespace vgpu::shim

using namespace vgpu::shim;

namespace {

uint64_t addressOf(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

template <bool perThread>
CUresult synchronous(uint64_t destination, Endpoint to, uint64_t source, Endpoint from, size_t sizeBytes) {
  return copy({.destination = destination,
               .source = source,
               .sizeBytes = sizeBytes,
               .to = to,
               .from = from,
               .perThread = perThread});
}
template <bool perThread>
CUresult asynchronous(uint64_t destination, Endpoint to, uint64_t source, Endpoint from, size_t sizeBytes,
                      CUstream stream) {
  return copy({.destination = destination,
               .source = source,
               .sizeBytes = sizeBytes,
               .to = to,
               .from = from,
               .stream = stream,
               .perThread = perThread,
               .asynchronous = true});
}

}  // namespace

#define COPY_VARIANTS(perThread, ds, sz)                                                                     \
  VGPU_EXPORT CUresult cuMemcpy##ds(CUdeviceptr to, CUdeviceptr from, size_t bytes) {                        \
    return synchronous<perThread>(to, Endpoint::Any, from, Endpoint::Any, bytes);                            \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyHtoD_v2##ds(CUdeviceptr to, const void* from, size_t bytes) {                 \
    return synchronous<perThread>(to, Endpoint::Device, addressOf(from), Endpoint::Host, bytes);             \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyDtoH_v2##ds(void* to, CUdeviceptr from, size_t bytes) {                       \
    return synchronous<perThread>(addressOf(to), Endpoint::Host, from, Endpoint::Device, bytes);             \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyDtoD_v2##ds(CUdeviceptr to, CUdeviceptr from, size_t bytes) {                 \
    return synchronous<perThread>(to, Endpoint::Device, from, Endpoint::Device, bytes);                      \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyPeer##ds(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext,              \
                                        size_t bytes) {                                                      \
    return synchronous<perThread>(to, Endpoint::Device, from, Endpoint::Device, bytes);                      \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyAsync##sz(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {  \
    return asynchronous<perThread>(to, Endpoint::Any, from, Endpoint::Any, bytes, stream);                   \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyHtoDAsync_v2##sz(CUdeviceptr to, const void* from, size_t bytes,              \
                                                CUstream stream) {                                           \
    return asynchronous<perThread>(to, Endpoint::Device, addressOf(from), Endpoint::Host, bytes, stream);    \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyDtoHAsync_v2##sz(void* to, CUdeviceptr from, size_t bytes, CUstream stream) { \
    return asynchronous<perThread>(addressOf(to), Endpoint::Host, from, Endpoint::Device, bytes, stream);    \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyDtoDAsync_v2##sz(CUdeviceptr to, CUdeviceptr from, size_t bytes,              \
                                                CUstream stream) {                                           \
    return asynchronous<perThread>(to, Endpoint::Device, from, Endpoint::Device, bytes, stream);             \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuMemcpyPeerAsync##sz(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext,         \
                                             size_t bytes, CUstream stream) {                                \
    return asynchronous<perThread>(to, Endpoint::Device, from, Endpoint::Device, bytes, stream);             \
  }

COPY_VARIANTS(false, , )
COPY_VARIANTS(true, _ptds, _ptsz)
