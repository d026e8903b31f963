#include "transport/ring/ring_host_channel.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "transport/ring/record_reader.h"

namespace vgpu::transport {

namespace {
// How long the dispatcher sleeps the first time: a posted record that raced with its falling asleep is this
// late at most.
constexpr std::chrono::nanoseconds kFirstSleep = std::chrono::milliseconds(1);
// How long the dispatcher looks away from a ring into which records are posted: at first, and while they keep
// coming fast.
constexpr std::chrono::nanoseconds kLeastBackOff(400);
constexpr std::chrono::nanoseconds kMostBackOff(1200);
// So many records in one look mean that they come fast.
constexpr uint64_t kManyRecords = 3;
constexpr std::chrono::nanoseconds kNoLimit = std::chrono::nanoseconds::max();
}  // namespace

RingHostChannel::RingHostChannel(std::unique_ptr<RingCarrier> carrier, const ChannelLimits& limits)
    : HostChannel(limits),
      carrier_(std::move(carrier)),
      doorbell_(carrier_->doorbell()),
      memory_(carrier_->memory(), layoutOf(limits)),
      submissions_(memory_.ring, limits.ringLines, &memory_.control->submitted, &memory_.control->consumed),
      touched_(new bool[limits.slots]()),
      owners_(limits.slots),
      events_(memory_, limits) {
  // Measured now, while the guest is still reading its welcome.
  wakeCost();
  pausesFor(kLeastBackOff);
  carrier_->watch(*this);
}

RingHostChannel::~RingHostChannel() { carrier_->hangUp(); }

// ---- the dispatcher

Next RingHostChannel::next(IncomingRecord& record, std::chrono::nanoseconds timeout) {
  if (__builtin_expect(broken_, 0)) return Next::Lost;
  const bool limited = timeout != kNoLimit;
  const MonotonicTime deadline = limited ? now() + timeout : MonotonicTime::max();
  for (;;) {
    switch (submissions_.take(RecordReader::storage(record))) {
      case LineConsumer::Take::Record:
        return accept(record);
      case LineConsumer::Take::Broken:
        return fail("the ring's index or a record's length is out of range");
      case LineConsumer::Take::Empty:
        break;
    }
    backOff();
    if (submissions_.tellConsumed()) doorbell_.wakeIfArmed(&memory_.control->spaceWanted);
    if (interrupted_.exchange(false, std::memory_order_acquire)) return Next::Interrupted;
    if (lost() && !submissions_.more()) return Next::Lost;
    if (budget_.spin([&] { return somethingToDo(); })) continue;
    const auto left = limited ? std::chrono::nanoseconds(deadline - now()) : kNoLimit;
    if (left <= std::chrono::nanoseconds::zero()) return Next::TimedOut;
    const MonotonicTime start = now();
    sleepUntilWork(left);
    budget_.slept(now() - start);
  }
}

Next RingHostChannel::accept(IncomingRecord& record) {
  if (submissions_.toldConsumed() == submissions_.consumed())
    doorbell_.wakeIfArmed(&memory_.control->spaceWanted);
  if (const char* wrong = RecordReader::read(record, submissions_.lines(), sequence_ + 1, limits_))
    return fail(wrong);
  ++sequence_;
  const uint16_t slot = record.slot();
  if (slot == kNoSlot) return Next::Record;
  if (!owners_.claim(slot, sequence_)) return fail("a record names a window slot that is in use");
  if (!touched_[slot]) {
    touched_[slot] = true;
    carrier_->touch(slotMemory(slot).data(), limits_.slotBytes);
  }
  if (record.attachment() == Attachment::Upload)
    RecordReader::setSlotData(record, slotMemory(slot).first(record.dataBytes()));
  return Next::Record;
}

// While records come that nobody waits for, looking for the next one at once would take the index's line from
// the producer each time and make posting several times as expensive. After a reply the guest is likely to
// send again: then there is no pause.
void RingHostChannel::backOff() {
  const uint64_t replies = replies_.load(std::memory_order_relaxed);
  const uint64_t taken = sequence_ - sequenceAtBackOff_;
  const bool posted = taken != 0 && replies == repliesAtBackOff_;
  sequenceAtBackOff_ = sequence_;
  repliesAtBackOff_ = replies;
  if (!posted) return;
  const int least = pausesFor(kLeastBackOff);
  backOffPauses_ =
      taken < kManyRecords ? least : std::clamp(backOffPauses_ * 2, least, pausesFor(kMostBackOff));
  for (int i = 0; i < backOffPauses_; ++i) pauseBriefly();
}

Next RingHostChannel::fail(std::string what) {
  violation_ = std::move(what);
  broken_ = true;
  close();
  return Next::Violation;
}

// Arms, fences, looks again, sleeps about a millisecond, looks again, sleeps until rung.
bool RingHostChannel::sleepUntilWork(std::chrono::nanoseconds timeout) {
  uint32_t* word = &memory_.control->hostSleeps;
  storeRelaxed(word, uint32_t{1});
  fullFence();
  if (!somethingToDo()) doorbell_.sleep(word, 1, std::min(timeout, kFirstSleep));
  if (!somethingToDo() && timeout > kFirstSleep) {
    storeRelaxed(word, uint32_t{1});
    fullFence();
    const auto left = timeout == kNoLimit ? kNoLimit : timeout - kFirstSleep;
    if (!somethingToDo()) doorbell_.sleep(word, 1, left);
  }
  storeRelaxed(word, uint32_t{0});
  return somethingToDo();
}

void RingHostChannel::interrupt() {
  interrupted_.store(true);
  fullFence();
  doorbell_.wake(&memory_.control->hostSleeps);
}

// ---- answers

void RingHostChannel::reply(const ReplyTo& to, int32_t status, std::span<const std::byte> payload) {
  CHECK(to.thread < limits_.threads);
  replies_.fetch_add(1, std::memory_order_relaxed);
  const bool hasSlot = to.slot != kNoSlot;
  size_t bytes = std::min<size_t>(
      payload.size(), hasSlot ? std::max<size_t>(to.slotBytes, kReplyInlineBytes) : kReplyInlineBytes);
  Mailbox& mailbox = memory_.mailboxes[to.thread];
  if (bytes > 0)
    std::memcpy(bytes > kReplyInlineBytes ? slotMemory(to.slot).data() : mailbox.payload.data(),
                payload.data(), bytes);
  if (hasSlot) owners_.release(to.slot);  // before the guest can use it again
  storeRelaxed(&mailbox.status, status);
  storeRelaxed(&mailbox.payloadBytes, static_cast<uint32_t>(bytes));
  storeRelease(&mailbox.sequence, to.sequence);
  fullFence();
  doorbell_.wakeIfArmed(&memory_.sleepers[to.thread].armed);
}

std::span<std::byte> RingHostChannel::slotMemory(uint16_t slot) {
  CHECK(slot < limits_.slots);
  return {memory_.window + size_t{slot} * limits_.slotBytes, limits_.slotBytes};
}

void RingHostChannel::giveSlotBack(uint16_t slot, int32_t status, uint32_t bytes) {
  SlotControl& control = memory_.slotControl[slot];
  const uint64_t sequence = owners_.release(slot);
  storeRelaxed(&control.status, status);
  storeRelaxed(&control.bytes, bytes);
  storeRelease(&control.sequence, sequence);
  fullFence();
  doorbell_.wakeIfArmed(&memory_.control->slotWanted);
}

void RingHostChannel::releaseSlot(uint16_t slot) { giveSlotBack(slot, 0, 0); }

void RingHostChannel::completeDownload(const ReplyTo& to, int32_t status, uint32_t bytes) {
  giveSlotBack(to.slot, status, std::min(bytes, to.slotBytes));
}

void RingHostChannel::retire(uint32_t streamIndex, uint64_t sequence) {
  CHECK(streamIndex < limits_.streams);
  storeRelease(&memory_.retired[streamIndex], sequence);
  fullFence();
  uint64_t* wait = &memory_.retireWaits[streamIndex];
  const uint64_t wanted = loadRelaxed(wait);
  if (__builtin_expect(wanted == 0 || sequence < wanted, 1)) return;
  storeRelaxed(wait, uint64_t{0});
  doorbell_.ring(reinterpret_cast<uint32_t*>(wait));
}

uint64_t RingHostChannel::postEvent(uint16_t kind, std::span<const std::byte> bytes) {
  if (lost()) return 0;
  uint64_t sequence = 0;
  switch (events_.post(kind, bytes, sequence)) {
    case EventQueue::Posted::Written:
      fullFence();
      doorbell_.wakeIfArmed(&memory_.control->eventWaits);
      break;
    case EventQueue::Posted::Queued:
      carrier_->tickSoon();
      break;
    case EventQueue::Posted::TooMany:
      close();
      return 0;
  }
  return sequence;
}

bool RingHostChannel::onTick() {
  const bool left = events_.pump();
  fullFence();
  doorbell_.wakeIfArmed(&memory_.control->eventWaits);
  return left;
}

// ---- the session

Result<Mapping> RingHostChannel::makeShared(uint64_t regionId, void* address, size_t sizeBytes) {
  return carrier_->makeShared(regionId, address, sizeBytes);
}

Status RingHostChannel::shareDescriptor(uint64_t regionId, int fd, size_t sizeBytes) {
  return carrier_->shareDescriptor(regionId, fd, sizeBytes);
}

void RingHostChannel::close() {
  carrier_->disconnect();
  onLost("closed");
}

void RingHostChannel::onLost(const std::string&) {
  lost_.store(true);
  fullFence();
  doorbell_.wake(&memory_.control->hostSleeps);
}

}  // namespace vgpu::transport
