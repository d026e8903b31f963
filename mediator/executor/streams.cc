// Streams of an Execution: the way of an operation through the admission point, and what is known to be over.
#include "base/log.h"
#include "mediator/executor/execution.h"

namespace vgpu::executor {

StreamObject* Execution::defaultStream(Submission& s, uint64_t wire, CUresult& status) {
  ContextObject* context = s.context;
  if (!context || !context->driver) {
    status = CUDA_ERROR_INVALID_CONTEXT;
    return nullptr;
  }
  if (wire != protocol::kPerThreadStream) return &context->legacy;
  if (context->perThread.size() <= s.thread) context->perThread.resize(s.thread + 1u);
  auto& mine = context->perThread[s.thread];
  if (mine) return mine.get();
  auto made = std::make_unique<StreamObject>();
  made->context = context;
  made->queue.group = &context->group;
  made->queue.id = wire;
  applyContext(context);
  status = driver.cuStreamCreateWithPriority(&made->driver, CU_STREAM_DEFAULT, 0);
  if (status != CUDA_SUCCESS) return nullptr;
  mine = std::move(made);
  return mine.get();
}

void Execution::markBusy(StreamObject& stream) {
  stream.busy = true;
  stream.context->busy.push_back(&stream);
}

namespace {

// Whether the stream's own work is over; takes it out of the busy ones then.
bool isOver(const Driver& driver, StreamObject& stream) {
  if (!stream.busy) return true;
  if (stream.capturing || driver.cuStreamQuery(stream.driver) == CUDA_ERROR_NOT_READY) return false;
  stream.busy = false;
  std::erase(stream.context->busy, &stream);
  return true;
}

}  // namespace

bool Execution::isIdle(StreamObject& stream) {
  if (!stream.queue.isBlocking) return isOver(driver, stream);
  if (stream.queue.isLegacy) {
    auto& busy = stream.context->busy;
    for (size_t i = busy.size(); i-- > 0;) {
      if (busy[i]->queue.isBlocking && !isOver(driver, *busy[i])) return false;
    }
    return true;
  }
  return isOver(driver, stream) && isOver(driver, stream.context->legacy);
}

bool Execution::isIdle(ContextObject& context) {
  for (size_t i = context.busy.size(); i-- > 0;) {
    if (!isOver(driver, *context.busy[i])) return false;
  }
  return true;
}

// ---- holding

std::shared_ptr<HeldSubmission> Execution::hold(Submission& s) {
  auto held = std::make_shared<HeldSubmission>();
  held->arguments.assign(s.arguments.begin(), s.arguments.end());
  held->data.assign(s.data.begin(), s.data.end());
  held->submission = s;
  held->submission.arguments = held->arguments;
  held->submission.data = held->data;
  held->submission.slot = transport::kNoSlot;
  return held;
}

void Execution::replay(HeldSubmission& held, bool covered) {
  Submission& s = held.submission;
  s.replayed = true;
  s.covered = covered;
  dispatch(s);
}

bool Execution::beginSlowly(StreamObject& stream, Submission& s) {
  if (mayBegin(stream)) {
    if (!stream.busy) markBusy(stream);
    ++stream.context->epoch;
    ++stream.sinceCheckpoint;
    s.enqueued = true;
    return true;
  }
  holdBack(stream, s, {}, {});
  return false;
}

bool Execution::beginWhen(StreamObject& stream, Submission& s, std::function<bool()> ready) {
  if (s.replayed || (ready() && mayBegin(stream))) return begin(stream, s);
  holdBack(stream, s, std::move(ready), {});
  return false;
}

void Execution::holdBack(StreamObject& stream, Submission& s, std::function<bool()> ready,
                         std::function<void()> starts) {
  auto held = hold(s);
  if (s.wantsReply) {
    // Strict mode does not wait for what is held: a host function that holds a stream may wait for the very
    // thread that would wait here. The guest learns the record's number, to ask for it later.
    reply(s, CUDA_SUCCESS, std::as_bytes(std::span(&s.sequence, 1)));
    held->submission.wantsReply = false;
  }
  HeldOperation operation;
  operation.sizeBytes = held->arguments.size() + held->data.size();
  operation.ready = [this, &stream, ready = std::move(ready)] {
    return (!ready || ready()) && makeRoom(stream);
  };
  operation.start = [this, held, starts = std::move(starts)] {
    if (starts) starts();
    replay(*held, false);
  };
  queues.hold(stream.queue, std::move(operation));
}

// Keeps at most kCheckpoints groups of operations of a stream with the driver. False: the oldest is not over
// yet, and the dispatcher will be woken when it is.
bool Execution::makeRoom(StreamObject& stream) {
  if (stream.sinceCheckpoint < kCheckpointOperations || stream.capturing) return true;
  applyContext(stream.context);
  const auto at = [](uint32_t n) { return n % kCheckpoints; };
  while (stream.checkpointsPassed < stream.checkpointsSet &&
         driver.cuEventQuery(stream.checkpoints[at(stream.checkpointsPassed)]) != CUDA_ERROR_NOT_READY) {
    ++stream.checkpointsPassed;
  }
  if (stream.checkpointsSet - stream.checkpointsPassed < kCheckpoints) {
    CUevent& event = stream.checkpoints[at(stream.checkpointsSet)];
    if (!event && driver.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) return true;
    if (driver.cuEventRecord && driver.cuEventRecord(event, stream.driver) == CUDA_SUCCESS)
      ++stream.checkpointsSet;
    stream.sinceCheckpoint = 0;
    return true;
  }
  if (stream.checkpointAwaited) return false;
  stream.checkpointAwaited = true;
  ++stream.waits;
  workers.run(
      [this, &stream, context = stream.context, event = stream.checkpoints[at(stream.checkpointsPassed)]] {
        enterContext(context);
        driver.cuEventSynchronize(event);
        toDispatcher(
            [this, &stream] {
              stream.checkpointAwaited = false;
              if (--stream.waits == 0 && stream.ended) return endPending(stream);
              queues.pump();
            },
            true);
      });
  return false;
}

// ---- ending

void Execution::endPending(StreamObject& stream) {
  for (CUevent event : stream.checkpoints) {
    if (event) driver.cuEventDestroy_v2(event);
  }
  if (stream.busy) std::erase(stream.context->busy, &stream);
  driver.cuStreamDestroy_v2(stream.driver);
  delete &stream;
}

// The handle is free at once; the driver's stream goes when what is held has started and nobody waits for it.
void Execution::endStream(Handle handle) {
  const auto end = [this](std::unique_ptr<StreamObject> stream) {
    StreamObject* ended = stream.release();
    ended->ended = true;
    if (ended->waits == 0) endPending(*ended);
  };
  if (!queues.anyHeld()) return end(objects.streams.remove(handle));
  objects.streams.linger(handle);
  queues.afterHeld([](const StreamQueue&) { return true; },
                   [this, handle, end] {
                     if (auto stream = objects.streams.takeLingering(handle)) end(std::move(stream));
                   });
}

void Execution::endEvent(Handle handle) {
  const auto end = [this](std::unique_ptr<EventObject> event) {
    EventObject* ended = event.release();
    ended->ended = true;
    if (ended->waits != 0) return;
    driver.cuEventDestroy_v2(ended->driver);
    delete ended;
  };
  if (!queues.anyHeld()) return end(objects.events.remove(handle));
  objects.events.linger(handle);
  queues.afterHeld([](const StreamQueue&) { return true; },
                   [this, handle, end] {
                     if (auto event = objects.events.takeLingering(handle)) end(std::move(event));
                   });
}

// ---- what the guest is told

void Execution::markRetired(StreamObject& stream, uint32_t slot, uint64_t sequence) {
  if (isIdle(stream)) return channel.retire(slot, sequence);
  Completion completion;
  completion.kind = Completion::Kind::Retire;
  completion.retiredSlot = slot;
  completion.sequence = sequence;
  completion.context = stream.context;
  const CUresult status = completions.add(stream.driver, completion);
  if (status != CUDA_SUCCESS) completions.complete(completion, status);
}

void Execution::startHostFunction(StreamObject& stream, uint64_t token) {
  hostFunctions_[token] = &stream;
  Completion completion;
  completion.kind = Completion::Kind::CallHostFunction;
  completion.token = token;
  completion.context = stream.context;
  applyContext(stream.context);
  if (!stream.busy) markBusy(stream);
  const CUresult status = completions.add(stream.driver, completion);
  if (status != CUDA_SUCCESS) completions.complete(completion, status);
}

bool Execution::finishHostFunction(uint64_t token) {
  auto found = hostFunctions_.find(token);
  if (found == hostFunctions_.end()) return false;
  StreamObject* stream = found->second;
  hostFunctions_.erase(found);
  queues.finish(stream->queue);
  return true;
}

}  // namespace vgpu::executor
