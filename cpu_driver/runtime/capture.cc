#include "cpu_driver/runtime/capture.h"

#include <algorithm>

#include "cpu_driver/runtime/stream.h"
#include "cpu_driver/runtime/thread_state.h"

namespace vgpu::cpu {

std::shared_ptr<Capture> Captures::of(const Stream& stream) const {
  for (const auto& capture : captures_)
    if (capture->clocks.contains(&stream)) return capture;
  return nullptr;
}

CUresult Captures::begin(Stream& stream, CUstreamCaptureMode mode) {
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  if (stream.kind() == StreamKind::Legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  std::lock_guard lock(mutex_);
  if (of(stream)) return CUDA_ERROR_ILLEGAL_STATE;
  auto capture = std::make_shared<Capture>();
  capture->id = nextId_++;
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->origin = &stream;
  capture->context = &stream.context();
  capture->blocking = stream.blocking();
  capture->clocks[&stream];
  captures_.push_back(std::move(capture));
  active_.store(static_cast<int>(captures_.size()));
  return CUDA_SUCCESS;
}

CUresult Captures::end(Stream& stream, std::shared_ptr<Graph>* graph) {
  graph->reset();
  std::lock_guard lock(mutex_);
  const auto capture = of(stream);
  if (!capture) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin != &stream) {
    capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  }
  const bool sameThread = capture->thread == std::this_thread::get_id();
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !sameThread)
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  std::erase(captures_, capture);
  active_.store(static_cast<int>(captures_.size()));
  if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  const CaptureClock& origin = capture->clocks[&stream];
  for (const auto& [other, clock] : capture->clocks) {
    const auto done = clock.find(other), seen = origin.find(other);
    const uint64_t last = done == clock.end() ? 0 : done->second;
    if (other != &stream && last > (seen == origin.end() ? 0 : seen->second))
      return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  }
  *graph = std::make_shared<Graph>(std::move(capture->graph));
  return CUDA_SUCCESS;
}

CUstreamCaptureStatus Captures::status(const Stream& stream, uint64_t* id) {
  if (!any()) return CU_STREAM_CAPTURE_STATUS_NONE;
  std::lock_guard lock(mutex_);
  const auto capture = of(stream);
  if (!capture) return CU_STREAM_CAPTURE_STATUS_NONE;
  *id = capture->id;
  return capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

CUresult Captures::invalidateWhere(CUresult error, const std::function<bool(const Capture&)>& affected) {
  std::lock_guard lock(mutex_);
  bool any = false;
  for (const auto& capture : captures_) {
    if (!affected(*capture)) continue;
    capture->invalid = true;
    any = true;
  }
  return any ? error : CUDA_SUCCESS;
}

// cuThreadExchangeStreamCaptureMode's documentation: a thread in mode global is stopped by its own captures
// that are not relaxed and by all global ones, in mode thread-local by its own, in mode relaxed by none.
CUresult Captures::refuseUnsafe() {
  const CUstreamCaptureMode mode = threadState().captureMode;
  if (mode == CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_SUCCESS;
  const auto self = std::this_thread::get_id();
  return invalidateWhere(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&](const Capture& capture) {
    if (capture.thread == self && capture.mode != CU_STREAM_CAPTURE_MODE_RELAXED) return true;
    return mode == CU_STREAM_CAPTURE_MODE_GLOBAL && capture.mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
  });
}

CUresult Captures::refuseWait(const Stream& stream) {
  return invalidateWhere(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                         [&](const Capture& capture) { return capture.clocks.contains(&stream); });
}

CUresult Captures::refuseContextWait(const Context& context) {
  return invalidateWhere(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, [&](const Capture& capture) {
    return capture.context == &context && capture.blocking;
  });
}

CUresult Captures::take(Stream& stream, CUgraphNodeType type, std::function<void(Stream&)> submit,
                        bool* taken) {
  *taken = false;
  {
    std::lock_guard lock(mutex_);
    if (const auto capture = of(stream)) {
      *taken = true;
      if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
      capture->graph.nodes.push_back({type, std::move(submit)});
      ++capture->clocks[&stream][&stream];
      return CUDA_SUCCESS;
    }
  }
  return stream.kind() == StreamKind::Legacy ? refuseContextWait(stream.context()) : CUDA_SUCCESS;
}

CUresult Captures::recordEvent(Stream& stream, std::shared_ptr<CapturedRecord>* record) {
  record->reset();
  std::lock_guard lock(mutex_);
  const auto capture = of(stream);
  if (!capture) return CUDA_SUCCESS;
  if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  *record = std::make_shared<CapturedRecord>(CapturedRecord{capture, capture->clocks[&stream]});
  return CUDA_SUCCESS;
}

CUresult Captures::waitEvent(Stream& stream, const std::shared_ptr<CapturedRecord>& record, bool* taken) {
  std::lock_guard lock(mutex_);
  const auto capture = of(stream);
  *taken = capture != nullptr || record != nullptr;
  if (!*taken) return CUDA_SUCCESS;
  const auto other = record ? record->capture.lock() : nullptr;
  if (!record) {
    // A capture may not depend on work outside of it.
    capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (!other || std::find(captures_.begin(), captures_.end(), other) == captures_.end()) {
    return CUDA_ERROR_CAPTURED_EVENT;
  }
  if (capture && capture != other) {
    capture->invalid = other->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  if (stream.kind() == StreamKind::Legacy) {
    other->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  }
  if (other->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  CaptureClock& clock = other->clocks[&stream];
  for (const auto& [from, number] : record->clock) clock[from] = std::max(clock[from], number);
  return CUDA_SUCCESS;
}

void Captures::forget(const Stream& stream) {
  std::lock_guard lock(mutex_);
  for (const auto& capture : captures_)
    if (capture->clocks.contains(&stream)) capture->invalid = true;
  std::erase_if(captures_, [&](const auto& capture) { return capture->origin == &stream; });
  active_.store(static_cast<int>(captures_.size()));
}

}  // namespace vgpu::cpu
