// Waits of an Execution: polled for a moment where nothing else is to be done, then handed to a worker.
#include "base/log.h"
#include "mediator/executor/execution.h"
#include "mediator/executor/output.h"

namespace vgpu::executor {
namespace {

// About what it costs to wake the worker that would wait instead.
constexpr std::chrono::microseconds kPollFor{20};

}  // namespace

Wait Execution::waitOf(const Submission& s) const {
  Wait wait;
  wait.context = s.context;
  wait.to = s.to;
  wait.number = s.number;
  wait.since = now();
  return wait;
}

void Execution::await(Wait wait) {
  // What is held back and covered by the wait must have been given to the driver first.
  const bool coversHeld =
      wait.what != Wait::For::Event || (wait.event->recordHeld && *wait.event->recordHeld);
  if (queues.anyHeld() && coversHeld) [[unlikely]] {
    StreamQueue* only = wait.what == Wait::For::Stream ? &wait.stream->queue : nullptr;
    const StreamGroup* group = wait.context ? &wait.context->group : nullptr;
    auto shared = std::make_shared<Wait>(std::move(wait));
    return queues.afterHeld(
        [only, group](const StreamQueue& queue) { return only ? &queue == only : queue.group == group; },
        [this, shared] {
          const CUresult status = pollOnce(*shared);
          if (status != CUDA_ERROR_NOT_READY) return finishWait(*shared, status);
          handOver(std::move(*shared));
        });
  }
  const CUresult status = pollOnce(wait);
  if (status != CUDA_ERROR_NOT_READY) return finishWait(wait, status);
  if (polled_) return handOver(std::move(wait));
  polled_ = std::move(wait);
  polledSince_ = now();
}

// SUCCESS, NOT_READY, or the failure that the wait would report.
CUresult Execution::pollOnce(Wait& wait) {
  if (activeCaptures != 0)
    return CUDA_ERROR_NOT_READY;  // a query might spoil a capture; the wait itself is told so
  applyContext(wait.context);
  switch (wait.what) {
    case Wait::For::Stream:
      return driver.cuStreamQuery(wait.stream->driver);
    case Wait::For::Event:
      return driver.cuEventQuery(wait.event->driver);
    case Wait::For::Context:
      if (!wait.context) return driver.cuCtxSynchronize();
      return isIdle(*wait.context) ? driver.cuCtxSynchronize() : CUDA_ERROR_NOT_READY;
  }
  return CUDA_ERROR_NOT_READY;
}

// True when the polled wait is over or has been handed over.
bool Execution::pollWait() {
  const CUresult status = pollOnce(*polled_);
  if (status == CUDA_ERROR_NOT_READY && now() - polledSince_ < kPollFor) return false;
  Wait wait = *std::exchange(polled_, std::nullopt);
  if (status == CUDA_ERROR_NOT_READY) {
    handOver(std::move(wait));
  } else {
    finishWait(wait, status);
  }
  return true;
}

void Execution::enterContext(const ContextObject* context) const {
  driver.cuCtxSetCurrent(context ? context->driver : nullptr);
}

// What was named by a wait on another thread may have been destroyed meanwhile.
void Execution::forgetWait(StreamObject* stream, EventObject* event) {
  if (stream && --stream->waits == 0 && stream->ended) endPending(*stream);
  if (event && --event->waits == 0 && event->ended) {
    driver.cuEventDestroy_v2(event->driver);
    delete event;
  }
}

void Execution::handOver(Wait wait) {
  if (wait.stream) ++wait.stream->waits;
  if (wait.event) ++wait.event->waits;
  const CUstream stream = wait.stream ? wait.stream->driver : nullptr;
  const CUevent event = wait.event ? wait.event->driver : nullptr;
  const bool relaxed = activeCaptures != 0;
  workers.run([this, wait = std::move(wait), stream, event, relaxed]() mutable {
    enterContext(wait.context);
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;  // the guest has checked what captures forbid
    if (relaxed && driver.cuThreadExchangeStreamCaptureMode) driver.cuThreadExchangeStreamCaptureMode(&mode);
    CUresult status = CUDA_SUCCESS;
    if (wait.what == Wait::For::Stream) status = driver.cuStreamSynchronize(stream);
    if (wait.what == Wait::For::Event) status = driver.cuEventSynchronize(event);
    if (wait.what == Wait::For::Context) status = driver.cuCtxSynchronize();
    if (relaxed && driver.cuThreadExchangeStreamCaptureMode) driver.cuThreadExchangeStreamCaptureMode(&mode);
    const bool goesOn = static_cast<bool>(wait.then);
    if (goesOn || wait.stream || wait.event) {
      toDispatcher(
          [this, then = std::move(wait.then), status, waitStream = wait.stream, waitEvent = wait.event] {
            forgetWait(waitStream, waitEvent);
            if (then) then(status);
          },
          goesOn);
    }
    if (goesOn) return;
    wait.then = nullptr;
    finishWait(wait, status);
  });
}

// Any thread, except with `then`.
void Execution::finishWait(Wait& wait, CUresult status) {
  if (wait.then) return wait.then(status);
  flushOutput();
  status = settled(wait.context, wait.status != CUDA_SUCCESS ? wait.status : status);
  if (status != CUDA_SUCCESS) statistics.calls[wait.number].errors.fetch_add(1, std::memory_order_relaxed);
  link::LatencyCounters& latency = statistics.latency[static_cast<size_t>(link::CallClass::Blocking)];
  const auto took = static_cast<uint64_t>(std::chrono::nanoseconds(now() - wait.since).count());
  latency.sumNanoseconds.fetch_add(took, std::memory_order_relaxed);
  latency.buckets[link::latencyBucket(took)].fetch_add(1, std::memory_order_relaxed);
  channel.reply(wait.to, status);
}

// The context whose work a Blocking row waits for: the current one, or the one that it ends.
ContextObject* Execution::contextToCover(const Submission& s) {
  protocol::Decoder in(s.arguments);
  switch (s.number) {
    case protocol::call::PrimaryRelease:
    case protocol::call::PrimaryReset: {
      auto found = primaries_.find(in.get<int32_t>());
      return found == primaries_.end() ? nullptr : found->second;
    }
    case protocol::call::cuCtxDestroy_v2:
      return objects.contexts.find(Handle(in.get<uint64_t>()));
    default:
      return s.context;
  }
}

// A Blocking row that acts: its context must be idle first. True when it is; otherwise the record comes
// again.
bool Execution::coverFirst(Submission& s) {
  ContextObject* context = contextToCover(s);
  if (!context || !context->driver) return true;
  applyContext(context);
  if (!queues.anyHeld() && isIdle(*context)) return true;
  auto held = hold(s);
  Wait wait = waitOf(s);
  wait.context = context;
  wait.then = [this, held](CUresult) { replay(*held, true); };
  await(std::move(wait));
  return false;
}

}  // namespace vgpu::executor
