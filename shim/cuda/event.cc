// Events: made, recorded and queried without waiting.
#include "shim/cuda/capture.h"
#include "shim/cuda/completion.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/refuse.h"

namespace vgpu::shim {
namespace {

constexpr unsigned kEventFlags = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;

CUresult record(CUevent eventValue, CUstream streamValue, unsigned flags, bool perThread) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (flags & ~unsigned{CU_EVENT_RECORD_EXTERNAL}) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = resolveStream(submission, streamValue, perThread);
  Event* event = submission.session->events.find(eventValue);
  if (!stream || !event || event->context != stream->context) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult status = refuseLegacyDuringCapture(submission, *stream); status != CUDA_SUCCESS)
    return status;
  const uint32_t slot = retiredSlot(submission, *stream);
  uint64_t sequence = 0;
  const CUresult status = postMessage<protocol::call::EventRecord>(
      submission, {event->handle.bits(), stream->wire, slot, flags}, &sequence);
  if (status != CUDA_SUCCESS) return status;
  // A record into a capture is no record that can be waited for (cuEventQuery: CAPTURED_EVENT).
  event->capturedIn.store(stream->capture.load() == Capture::None ? 0 : stream->captureId);
  event->slot.store(slot, std::memory_order_relaxed);
  event->recorded.store(sequence, std::memory_order_release);
  stream->posted.raise(sequence);
  stream->marked.raise(sequence);
  return CUDA_SUCCESS;
}

CUresult enterEvent(Submission& submission, CUevent value, Event*& event) {
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  event = submission.session->events.find(value);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  submission.context = event->context;
  const auto sticky = static_cast<CUresult>(event->context->sticky.load(std::memory_order_relaxed));
  if (sticky != CUDA_SUCCESS) return sticky;
  return event->capturedIn.load() ? CUDA_ERROR_CAPTURED_EVENT : CUDA_SUCCESS;
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;
namespace call_number = vgpu::protocol::call;

VGPU_EXPORT CUresult cuEventCreate(CUevent* event, unsigned flags) {
  if (flags & ~kEventFlags) return CUDA_ERROR_INVALID_VALUE;
  if (flags & CU_EVENT_INTERPROCESS) {
    return flags & CU_EVENT_DISABLE_TIMING
               ? refuse("cuEventCreate with CU_EVENT_INTERPROCESS", "events shared between programs")
               : CUDA_ERROR_INVALID_VALUE;
  }
  const CUresult status = Forward<call_number::cuEventCreate>::call(event, flags);
  if (status == CUDA_SUCCESS) Session::get()->events.find(*event)->flags = flags;
  return status;
}

VGPU_EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) { return record(event, stream, 0, false); }
VGPU_EXPORT CUresult cuEventRecord_ptsz(CUevent event, CUstream stream) {
  return record(event, stream, 0, true);
}
VGPU_EXPORT CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags) {
  return record(event, stream, flags, false);
}
VGPU_EXPORT CUresult cuEventRecordWithFlags_ptsz(CUevent event, CUstream stream, unsigned flags) {
  return record(event, stream, flags, true);
}

VGPU_EXPORT CUresult cuEventQuery(CUevent value) {
  Submission submission;
  Event* event;
  if (const CUresult status = enterEvent(submission, value, event); status != CUDA_SUCCESS) return status;
  const Progress progress = eventProgress(submission, *event);
  if (progress == Progress::Done) {
    finishWait(submission);
    return CUDA_SUCCESS;
  }
  if (progress == Progress::Running && !timeToAsk()) {
    submission.session->channel().flush();
    return CUDA_ERROR_NOT_READY;
  }
  const CUresult status = call(submission, call_number::cuEventQuery, asBytes(event->handle.bits())).status;
  if (status == CUDA_SUCCESS) finishWait(submission);
  return status;
}

VGPU_EXPORT CUresult cuEventSynchronize(CUevent value) {
  Submission submission;
  Event* event;
  if (const CUresult status = enterEvent(submission, value, event); status != CUDA_SUCCESS) return status;
  if (const CUresult status = refuseWhileCapturing(submission); status != CUDA_SUCCESS) return status;
  if (eventProgress(submission, *event) != Progress::Done) {
    const CUresult status =
        call(submission, call_number::cuEventSynchronize, asBytes(event->handle.bits())).status;
    if (status != CUDA_SUCCESS) return status;
  }
  finishWait(submission);
  return CUDA_SUCCESS;
}

static CUresult elapsedTime(float* milliseconds, CUevent start, CUevent end) {
  Submission submission;
  Event *first, *second;
  if (!milliseconds) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult status = enterEvent(submission, start, first); status != CUDA_SUCCESS) return status;
  if (const CUresult status = enterEvent(submission, end, second); status != CUDA_SUCCESS) return status;
  if ((first->flags | second->flags) & CU_EVENT_DISABLE_TIMING) return CUDA_ERROR_INVALID_HANDLE;
  return Forward<call_number::cuEventElapsedTime_v2>::call(milliseconds, start, end);
}
VGPU_EXPORT CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return elapsedTime(milliseconds, start, end);
}
VGPU_EXPORT CUresult cuEventElapsedTime_v2(float* milliseconds, CUevent start, CUevent end) {
  return elapsedTime(milliseconds, start, end);
}
