#include "shim/cuda/capture.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/refuse.h"
#include "shim/session/shared_state.h"

namespace vgpu::shim {
namespace {

struct Captures {
  std::vector<Stream*> active;
  uint64_t nextId = 1;
};
constinit SharedState<Captures> captures;
// How many are active, read on every call: no lock while nothing captures.
constinit std::atomic<size_t> capturing{0};

bool forbids(const Stream& stream, const ThreadState& thread) {
  if (thread.captureMode == CU_STREAM_CAPTURE_MODE_RELAXED ||
      stream.captureMode == CU_STREAM_CAPTURE_MODE_RELAXED)
    return false;
  if (stream.capturingThread == thread.id()) return true;
  return thread.captureMode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
         stream.captureMode == CU_STREAM_CAPTURE_MODE_GLOBAL;
}

void begin(Stream& stream, CUstreamCaptureMode mode, const ThreadState& thread) {
  const auto all = captures.lock();
  stream.captureMode = mode;
  stream.capturingThread = thread.id();
  stream.captureId = all->nextId++;
  stream.capture.store(Capture::Active);
  all->active.push_back(&stream);
  capturing.store(all->active.size());
}

Capture end(Stream& stream) {
  const auto all = captures.lock();
  std::erase(all->active, &stream);
  capturing.store(all->active.size());
  return stream.capture.exchange(Capture::None);
}

CUresult beginCapture(CUstream value, CUstreamCaptureMode mode, bool perThread) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Stream* stream = resolveStream(submission, value, perThread);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->isLegacy()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture.load() != Capture::None) return CUDA_ERROR_ILLEGAL_STATE;
  const CUresult status =
      Forward<protocol::call::cuStreamBeginCapture_v2>::call(reinterpret_cast<CUstream>(stream->wire), mode);
  if (status == CUDA_SUCCESS) begin(*stream, mode, *submission.thread);
  return status;
}

CUresult endCapture(CUstream value, CUgraph* graph, bool perThread) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (!graph) return CUDA_ERROR_INVALID_VALUE;
  *graph = nullptr;
  Stream* stream = resolveStream(submission, value, perThread);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture.load() == Capture::None) return CUDA_ERROR_ILLEGAL_STATE;
  if (stream->captureMode != CU_STREAM_CAPTURE_MODE_RELAXED &&
      stream->capturingThread != submission.thread->id()) {
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  const Capture before = end(*stream);
  auto* captured = new Graph;
  captured->handle = submission.session->graphs.insert(captured);
  const CUresult status =
      callMessage<protocol::call::EndCapture>(submission, {stream->wire, captured->handle.bits()});
  if (status != CUDA_SUCCESS) {
    delete submission.session->graphs.remove(captured->handle);
    return before == Capture::Invalidated ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : status;
  }
  *graph = reinterpret_cast<CUgraph>(captured->handle.bits());
  if (before != Capture::Invalidated) return CUDA_SUCCESS;
  // The executor's driver knew nothing of what spoiled it here.
  Forward<protocol::call::cuGraphDestroy>::call(*graph);
  *graph = nullptr;
  return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

CUstreamCaptureStatus statusOf(const Stream& stream) {
  switch (stream.capture.load()) {
    case Capture::None:
      return CU_STREAM_CAPTURE_STATUS_NONE;
    case Capture::Active:
      return CU_STREAM_CAPTURE_STATUS_ACTIVE;
    case Capture::Invalidated:
      return CU_STREAM_CAPTURE_STATUS_INVALIDATED;
  }
  return CU_STREAM_CAPTURE_STATUS_NONE;
}

CUresult captureInfo(CUstream value, CUstreamCaptureStatus* status, cuuint64_t* id, bool perThread) {
  Submission submission;
  if (const CUresult entered = enterContext(submission); entered != CUDA_SUCCESS) return entered;
  if (!status) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = resolveStream(submission, value, perThread);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult refused = refuseLegacyDuringCapture(submission, *stream); refused != CUDA_SUCCESS)
    return refused;
  *status = statusOf(*stream);
  if (id && *status == CU_STREAM_CAPTURE_STATUS_ACTIVE) *id = stream->captureId;
  return CUDA_SUCCESS;
}

}  // namespace

CUresult refuseWhileCapturing(const Submission& submission) {
  if (capturing.load(std::memory_order_acquire) == 0) return CUDA_SUCCESS;
  const auto all = captures.lock();
  bool refused = false;
  for (Stream* stream : all->active) {
    if (!forbids(*stream, *submission.thread)) continue;
    stream->capture.store(Capture::Invalidated);
    refused = true;
  }
  return refused ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CUresult refuseIfCapturing(Stream& stream) {
  Capture expected = Capture::Active;
  if (stream.capture.compare_exchange_strong(expected, Capture::Invalidated))
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return expected == Capture::Invalidated ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
}

CUresult refuseLegacyDuringCapture(const Submission& submission, const Stream& stream) {
  if (!stream.isLegacy() || capturing.load(std::memory_order_acquire) == 0) return CUDA_SUCCESS;
  const auto all = captures.lock();
  for (Stream* other : all->active) {
    if (other->context != submission.context || other->flags & CU_STREAM_NON_BLOCKING) continue;
    other->capture.store(Capture::Invalidated);
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  }
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim

using namespace vgpu::shim;

VGPU_EXPORT CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  return beginCapture(stream, mode, false);
}
VGPU_EXPORT CUresult cuStreamBeginCapture_v2_ptsz(CUstream stream, CUstreamCaptureMode mode) {
  return beginCapture(stream, mode, true);
}
VGPU_EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  return endCapture(stream, graph, false);
}
VGPU_EXPORT CUresult cuStreamEndCapture_ptsz(CUstream stream, CUgraph* graph) {
  return endCapture(stream, graph, true);
}
VGPU_EXPORT CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  return captureInfo(stream, status, nullptr, false);
}
VGPU_EXPORT CUresult cuStreamIsCapturing_ptsz(CUstream stream, CUstreamCaptureStatus* status) {
  return captureInfo(stream, status, nullptr, true);
}
VGPU_EXPORT CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id) {
  return captureInfo(stream, status, id, false);
}
VGPU_EXPORT CUresult cuStreamGetCaptureInfo_ptsz(CUstream stream, CUstreamCaptureStatus* status,
                                                 cuuint64_t* id) {
  return captureInfo(stream, status, id, true);
}

// Graph and dependencies of a capture in progress belong to graphs, which are not supported: only their
// absence is reported.
static CUresult captureInfoWithGraph(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                     bool wantsGraph, bool perThread) {
  const CUresult result = captureInfo(stream, status, id, perThread);
  if (result == CUDA_SUCCESS && wantsGraph && *status == CU_STREAM_CAPTURE_STATUS_ACTIVE)
    return refuse("cuStreamGetCaptureInfo with a graph", "graphs");
  return result;
}
VGPU_EXPORT CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                               CUgraph* graph, const CUgraphNode** dependencies,
                                               size_t* count) {
  return captureInfoWithGraph(stream, status, id, graph || dependencies || count, false);
}
VGPU_EXPORT CUresult cuStreamGetCaptureInfo_v2_ptsz(CUstream stream, CUstreamCaptureStatus* status,
                                                    cuuint64_t* id, CUgraph* graph,
                                                    const CUgraphNode** dependencies, size_t* count) {
  return captureInfoWithGraph(stream, status, id, graph || dependencies || count, true);
}
VGPU_EXPORT CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                               CUgraph* graph, const CUgraphNode** dependencies,
                                               const CUgraphEdgeData** edges, size_t* count) {
  return captureInfoWithGraph(stream, status, id, graph || dependencies || edges || count, false);
}
VGPU_EXPORT CUresult cuStreamGetCaptureInfo_v3_ptsz(CUstream stream, CUstreamCaptureStatus* status,
                                                    cuuint64_t* id, CUgraph* graph,
                                                    const CUgraphNode** dependencies,
                                                    const CUgraphEdgeData** edges, size_t* count) {
  return captureInfoWithGraph(stream, status, id, graph || dependencies || edges || count, true);
}

VGPU_EXPORT CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  if (!mode || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  std::swap(thisThread().captureMode, *mode);
  return CUDA_SUCCESS;
}
