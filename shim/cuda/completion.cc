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

}  // namespace

uint32_t retiredSlot(const Submission& submission, Stream& stream) {
  return slotOf(*submission.session, stream);
}

Progress streamProgress(const Submission& submission, Stream& stream) {
  const uint64_t wanted = stream.posted.get();
  if (stream.done.get() >= wanted) return Progress::Done;
  if (stream.context->failed.load(std::memory_order_acquire)) return Progress::Unknown;
  const uint32_t slot = slotOf(*submission.session, stream);
  if (slot == Stream::kNoSlotYet) return Progress::Unknown;
  if (stream.marked.get() < wanted) {
    uint64_t sequence = 0;
    if (postMessage<protocol::call::Mark>(submission, {stream.wire, slot, 0}, &sequence) != CUDA_SUCCESS)
      return Progress::Unknown;
    if (sequence == 0) return Progress::Done;  // strict: it was waited for
    stream.marked.raise(sequence);
    submission.session->channel().flush();
  }
  const uint64_t retired = submission.session->channel().retired(slot);
  if (retired < wanted) return Progress::Running;
  if (!endedWell(submission, *stream.context)) return Progress::Unknown;
  stream.done.raise(wanted);
  return Progress::Done;
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

void streamDone(Stream& stream, uint64_t sequence) { stream.done.raise(sequence); }

}  // namespace vgpu::shim
