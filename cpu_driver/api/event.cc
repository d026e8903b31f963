#include "cpu_driver/runtime/event.h"

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

constexpr unsigned kKnownFlags = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;

template <class Body>
CUresult withEvent(CUevent handle, Body&& body) {
  return withContext([&](Context& context) -> CUresult {
    Event* event = driver().events.find(handle);
    return event ? body(context, *event) : CUDA_ERROR_INVALID_HANDLE;
  });
}

CUresult record(CUevent handle, CUstream streamHandle, unsigned flags) {
  return withStream(streamHandle, [&](Context& context, Stream& stream) -> CUresult {
    Event* event = driver().events.find(handle);
    if (!event) return CUDA_ERROR_INVALID_HANDLE;
    if ((flags & ~unsigned{CU_EVENT_RECORD_EXTERNAL}) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (&event->context() != &stream.context()) return CUDA_ERROR_INVALID_HANDLE;
    if (driver().captures().any()) {
      std::shared_ptr<CapturedRecord> captured;
      const CUresult result = driver().captures().recordEvent(stream, &captured);
      if (result != CUDA_SUCCESS) return result;
      event->setCaptured(captured);
      if (captured) return CUDA_SUCCESS;
      if (stream.kind() == StreamKind::Legacy) {
        const CUresult refused = driver().captures().refuseContextWait(context);
        if (refused != CUDA_SUCCESS) return refused;
      }
    }
    event->record(stream);
    return CUDA_SUCCESS;
  });
}

CUresult elapsed(float* milliseconds, CUevent start, CUevent end) {
  return withContext([&](Context&) {
    Event* from = driver().events.find(start);
    Event* to = driver().events.find(end);
    if (!from || !to) return CUDA_ERROR_INVALID_HANDLE;
    if (!milliseconds) return CUDA_ERROR_INVALID_VALUE;
    if (!from->timed() || !to->timed()) return CUDA_ERROR_INVALID_HANDLE;
    if (from->captured() || to->captured()) return CUDA_ERROR_CAPTURED_EVENT;
    const auto first = from->last(), second = to->last();
    if (!first || !second) return CUDA_ERROR_INVALID_HANDLE;
    if (!first->stream->isRetired(first->sequence) || !second->stream->isRetired(second->sequence)) {
      return CUDA_ERROR_NOT_READY;
    }
    const int64_t nanoseconds = second->nanoseconds.load() - first->nanoseconds.load();
    *milliseconds = static_cast<float>(static_cast<double>(nanoseconds) / 1e6);
    return CUDA_SUCCESS;
  });
}

}  // namespace

extern "C" {

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  return withContext([&](Context& context) {
    if (!event || (flags & ~kKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    // An event for other processes must not be timed, and there is no such sharing yet.
    if (flags & CU_EVENT_INTERPROCESS) {
      return flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    }
    *event = driver().events.insert(std::make_shared<Event>(context, flags));
    return *event ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
  });
}

CUresult cuEventDestroy_v2(CUevent event) {
  return withContext(
      [&](Context&) { return driver().events.remove(event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; });
}

CUresult cuEventRecord(CUevent event, CUstream stream) { return record(event, stream, 0); }
CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags) {
  return record(event, stream, flags);
}

CUresult cuEventQuery(CUevent handle) {
  return withEvent(handle, [](Context& context, Event& event) {
    if (event.captured()) return CUDA_ERROR_CAPTURED_EVENT;
    const auto recording = event.last();
    if (recording && !recording->stream->isRetired(recording->sequence)) return CUDA_ERROR_NOT_READY;
    return context.surface();
  });
}

CUresult cuEventSynchronize(CUevent handle) {
  return withEvent(handle, [](Context& context, Event& event) {
    if (event.captured()) return CUDA_ERROR_CAPTURED_EVENT;
    if (const auto recording = event.last()) recording->stream->wait(recording->sequence);
    return context.surface();
  });
}

CUresult cuEventElapsedTime_v2(float* milliseconds, CUevent start, CUevent end) {
  return elapsed(milliseconds, start, end);
}
CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return elapsed(milliseconds, start, end);
}

CUresult cuCtxRecordEvent(CUcontext, CUevent) {
  return withContext([](Context&) { return CUDA_ERROR_NOT_SUPPORTED; });
}
CUresult cuCtxWaitEvent(CUcontext, CUevent) {
  return withContext([](Context&) { return CUDA_ERROR_NOT_SUPPORTED; });
}

}  // extern "C"
