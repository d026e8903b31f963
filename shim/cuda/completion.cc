#include "shim/cuda/completion.h"

#include "base/clock.h"
#include "shim/session/event_thread.h"

namespace vgpu::shim {
namespace {

constexpr auto kAskEvery = std::chrono::microseconds(500);

uint32_t slotOf(Session& session, Stream& stream) {
  uint32_t slot = stream.slot.load(std::memory_order_acquire);
  if (slot != Stream::kNoSlotYet) return slot;
  uint32_t fresh = session.takeSlot();
  if (fresh == Stream::kNoSlotYet) return fresh;
  if (stream.slot.compare_exchange_strong(slot, fresh)) return fresh;
  session.returnSlot(fresh);
  return slot;
}

// What is retired may have failed. The executor announces that before the numbers, so whoever has seen the
// number and handled the events knows.
bool endedWell(const Submission& submission, const Context& context) {
  settleEvents(*submission.session);
  return !context.failed.load(std::memory_order_acquire);
}

// Posts a mark when what was posted last in the stream has none. Running: its number will be published.
// Unknown: there is no place for it.
Progress mark(const Submission& submission, Stream& stream, uint64_t wanted) {
  const uint32_t slot = slotOf(*submission.session, stream);
  if (slot == Stream::kNoSlotYet) return Progress::Unknown;
  if (stream.marked.get() >= wanted) return Progress::Running;
  uint64_t sequence = 0;
  if (postMessage<protocol::call::Mark>(submission, {stream.wire, slot, 0}, &sequence) != CUDA_SUCCESS)
    return Progress::Unknown;
  if (sequence == 0) return Progress::Done;  // strict: it was waited for
  stream.marked.raise(sequence);
  submission.session->channel().flush();
  return Progress::Running;
}

// The executor knows a default stream by the thread that names it and that thread's context.
bool canName(const Submission& submission, const Stream& stream) {
  const ThreadState& thread = *submission.thread;
  if (stream.wire != protocol::kLegacyStream && stream.wire != protocol::kPerThreadStream) return true;
  if (thread.announced != stream.context) return false;
  const auto own = thread.perThreadStreams.find(stream.context);
  return stream.isLegacy() || (own != thread.perThreadStreams.end() && own->second == &stream);
}

}  // namespace

uint32_t retiredSlot(const Submission& submission, Stream& stream) {
  return slotOf(*submission.session, stream);
}

Progress streamProgress(const Submission& submission, Stream& stream) {
  const uint64_t wanted = stream.posted.get();
  if (stream.done.get() >= wanted) return Progress::Done;
  if (stream.context->failed.load(std::memory_order_acquire)) return Progress::Unknown;
  if (const Progress marked = mark(submission, stream, wanted); marked != Progress::Running) return marked;
  if (submission.session->channel().retired(stream.slot.load()) < wanted) return Progress::Running;
  if (!endedWell(submission, *stream.context)) return Progress::Unknown;
  stream.done.raise(wanted);
  return Progress::Done;
}

bool isRetired(const Submission& submission, const Stream& stream, uint64_t sequence) {
  const Context& context = *stream.context;
  if (stream.done.get() >= sequence || context.synchronized.get() >= sequence || !context.alive) return true;
  const uint32_t slot = stream.slot.load();
  if (slot == Stream::kNoSlotYet || submission.session->channel().retired(slot) < sequence) return false;
  return !stream.destroyed.load(std::memory_order_acquire);  // else the number may be another stream's
}

void askWhatRetires(const Submission& submission, Stream& stream) {
  if (stream.destroyed || stream.capture.load() != Capture::None || !canName(submission, stream)) return;
  mark(submission, stream, stream.posted.get());
}

Progress eventProgress(const Submission& submission, const Event& event) {
  const uint64_t recorded = event.recorded.load(std::memory_order_acquire);
  if (recorded == 0) return Progress::Done;
  const uint32_t slot = event.slot.load(std::memory_order_acquire);
  if (slot == Stream::kNoSlotYet) return Progress::Unknown;
  if (event.context->failed.load(std::memory_order_acquire)) return Progress::Unknown;
  if (submission.session->channel().retired(slot) < recorded) return Progress::Running;
  return endedWell(submission, *event.context) ? Progress::Done : Progress::Unknown;
}

bool timeToAsk() {
  static thread_local MonotonicTime last;
  const MonotonicTime time = now();
  if (time - last < kAskEvery) return false;
  last = time;
  return true;
}

void retireStream(Session& session, Stream& stream) {
  stream.destroyed.store(true, std::memory_order_release);
  if (const uint32_t slot = stream.slot.load(); slot != Stream::kNoSlotYet) session.returnSlot(slot);
}

void streamDone(Stream& stream, uint64_t sequence) { stream.done.raise(sequence); }

}  // namespace vgpu::shim
