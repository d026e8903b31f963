// Streams: completion numbers, events, host functions, capture.
#include "mediator/executor/handlers.h"

namespace vgpu::executor {

void handleMark(Execution& execution, Submission& s, const protocol::messages::Mark& message, Decoder&) {
  if (message.slot >= execution.channel.limits().streams)
    return execution.lie(s, "names a completion slot that does not exist");
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  if (execution.lied()) return;
  if (!stream) {
    // Nothing of it can be under way: whoever waits for the number must not wait for ever.
    execution.channel.retire(message.slot, s.sequence);
    return execution.posted(s, status);
  }
  if (!execution.begin(*stream, s)) return;
  if (!stream->capturing) execution.markRetired(*stream, message.slot, s.sequence);
  execution.posted(s, CUDA_SUCCESS);
}

void handleEventRecord(Execution& execution, Submission& s, const protocol::messages::EventRecord& message,
                       Decoder&) {
  const bool marks = message.slot != ~uint32_t{0};
  if (marks && message.slot >= execution.channel.limits().streams) {
    return execution.lie(s, "names a completion slot that does not exist");
  }
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  EventObject* event = execution.find<Kind::Event>(s, message.event);
  if (execution.lied()) return;
  if (!event || !stream) {
    if (marks) execution.channel.retire(message.slot, s.sequence);
    return execution.posted(s, stream ? CUDA_ERROR_INVALID_HANDLE : status);
  }
  if (!s.replayed && !execution.mayBegin(*stream)) {
    auto held = std::make_shared<bool>(true);
    event->recordHeld = held;
    return execution.holdBack(*stream, s, {}, [held] { *held = false; });
  }
  if (!execution.begin(*stream, s)) return;
  // The number first, the record behind it: whoever learns in any way that the event is over must find the
  // number there.
  if (marks && !stream->capturing) execution.markRetired(*stream, message.slot, s.sequence);
  const Driver& driver = execution.driver;
  status = message.flags != 0 && driver.cuEventRecordWithFlags
               ? driver.cuEventRecordWithFlags(event->driver, stream->driver, message.flags)
               : driver.cuEventRecord(event->driver, stream->driver);
  execution.posted(s, status);
}

// Longer than a driver takes from one operation of a stream to the next, short enough for the dispatcher.
void awaitBriefly(const Execution& execution, CUevent event) {
  constexpr std::chrono::microseconds kLongest{50};
  const MonotonicTime start = now();
  while (execution.driver.cuEventQuery(event) == CUDA_ERROR_NOT_READY && now() - start < kLongest) {
  }
}

// The driver only tells us that the function's turn has come. The stream is then held here, not in the
// driver, until the guest has run it: a driver whose callbacks may not wait for each other cannot deadlock,
// and neither can the ring.
void handleHostFunction(Execution& execution, Submission& s, const protocol::messages::HostFunction& message,
                        Decoder&) {
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  if (execution.lied()) return;
  if (!stream) return execution.posted(s, status);
  if (stream->capturing) return execution.posted(s, CUDA_ERROR_NOT_SUPPORTED);
  HeldOperation operation;
  operation.untilDone = true;
  operation.start = [&execution, stream, token = message.token] {
    execution.startHostFunction(*stream, token);
  };
  execution.queues.hold(stream->queue, std::move(operation));
  execution.queues.pump();
  s.enqueued = true;
  execution.posted(s, CUDA_SUCCESS);
}

void handleHostFunctionDone(Execution& execution, Submission& s,
                            const protocol::messages::HostFunctionDone& message, Decoder&) {
  // One that is not under way may have ended with its context.
  execution.posted(s, execution.finishHostFunction(message.token) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

void handleEndCapture(Execution& execution, Submission& s, const protocol::messages::EndCapture& message,
                      Decoder&) {
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  if (execution.lied()) return;
  if (!stream) return execution.reply(s, status);
  if (!execution.isFree<Kind::Graph>(s, message.graph)) return;
  CUgraph graph = nullptr;
  status = execution.driver.cuStreamEndCapture(stream->driver, &graph);
  if (stream->capturing) {
    stream->capturing = false;
    --execution.activeCaptures;
  }
  if (graph) {
    auto captured = std::make_unique<GraphObject>();
    captured->driver = graph;
    execution.objects.graphs.insert(Handle(message.graph), std::move(captured));
  }
  execution.reply(s, status);
}

void handleExchangeCaptureMode(Execution& execution, Submission& s,
                               const protocol::messages::ExchangeCaptureMode& message, Decoder&) {
  // The guest keeps each thread's mode and judges by it; all its threads are one here.
  const protocol::messages::ExchangeCaptureModeReply answer{message.mode};
  execution.replyWith(s, CUDA_SUCCESS, answer);
}

}  // namespace vgpu::executor
