#include "transport/ring/ring_guest_channel.h"

#include <algorithm>

#include "base/check.h"
#include "transport/ring/copy.h"

namespace vgpu::transport {

namespace {

// A posted record is followed by a full fence at least this often, which bounds how late a racing wake-up can
// be.
constexpr uint32_t kPostsBetweenFences = 16;
// How long a sleeper sleeps the first time, so that a wake-up lost in a race costs no more than this.
constexpr auto kFirstSleep = std::chrono::milliseconds(1);

std::optional<MonotonicTime> deadlineAfter(std::chrono::nanoseconds timeout) {
  if (timeout == kForever) return std::nullopt;
  return now() + timeout;
}

}  // namespace

RingGuestChannel::RingGuestChannel(std::unique_ptr<RingCarrier> carrier, const ChannelLimits& limits)
    : GuestChannel(limits),
      carrier_(std::move(carrier)),
      doorbell_(carrier_->doorbell()),
      memory_(carrier_->memory(), layoutOf(limits)),
      producer_(memory_.ring, limits.ringLines, &memory_.control->submitted, &memory_.control->consumed),
      window_(memory_.slotControl, limits),
      events_(memory_.events, limits.eventLines, &memory_.control->eventsProduced,
              &memory_.control->eventsConsumed),
      eventBytes_(new std::byte[kMaxRecordLines * kLineBytes]),
      replyBudgets_(new SpinBudget[limits.threads]) {
  carrier_->watch(*this);
}

RingGuestChannel::~RingGuestChannel() { carrier_->hangUp(); }

// ---- posting

std::byte* RingGuestChannel::reserve(uint16_t call, uint16_t thread, size_t argumentBytes) {
  return reserveShape({.call = call, .thread = thread, .argumentBytes = argumentBytes});
}

std::byte* RingGuestChannel::reserveShape(const RecordShape& shape) {
  const size_t lines = shape.lines();
  CHECK(lines <= kMaxRecordLines && shape.call != kPadCall);
  for (;;) {
    if (__builtin_expect(lost(), 0)) return nullptr;
    lock_.lock();
    if (std::byte* place = producer_.place(lines, sequence_ + 1)) {
      placedLines_ = lines;
      return writeHeader(place, shape, ++sequence_);
    }
    lock_.unlock();
    if (!waitForSpace()) return nullptr;
  }
}

uint64_t RingGuestChannel::publish() {
  const uint64_t sequence = sequence_;
  producer_.publish(placedLines_);
  if (++sinceFence_ >= kPostsBetweenFences) {
    sinceFence_ = 0;
    fullFence();
  }
  lock_.unlock();
  doorbell_.wakeIfArmed(&memory_.control->hostSleeps);
  return sequence;
}

uint64_t RingGuestChannel::postShape(const RecordShape& shape, std::span<const std::byte> arguments,
                                     std::span<const std::byte> inlineData) {
  std::byte* place = reserveShape(shape);
  if (!place) return 0;
  copyBytes(place, arguments);
  if (!inlineData.empty())
    std::memcpy(place + (shape.inlineDataOffset() - shape.argumentsOffset()), inlineData.data(),
                inlineData.size());
  return publish();
}

void RingGuestChannel::flush() {
  if (lost()) return;
  fullFence();
  doorbell_.wakeIfArmed(&memory_.control->hostSleeps);
}

// Waits outside the producers' lock: whoever comes first afterwards goes first, as at any other time.
bool RingGuestChannel::waitForSpace() {
  flush();
  const uint64_t seen = loadAcquire(&memory_.control->consumed);
  const auto moved = [&] { return producer_.roomAfter(seen); };
  // The ring may have become free between the failed attempt and this look; then one more attempt is due
  // anyway.
  const auto roomNow = [&] {
    return moved() || loadRelaxed(&memory_.control->submitted) - seen <= limits_.ringLines / 2;
  };
  if (spaceBudget_.spin([&] { return roomNow() || lost(); })) return !lost();
  return sleepUntil(&memory_.control->spaceWanted, spaceBudget_, roomNow, std::nullopt) == Wait::Ready;
}

// Sleeps until ready(). The word may be shared by several threads: it is armed by each and cleared only by
// whoever rings.
template <class Ready>
Wait RingGuestChannel::sleepUntil(uint32_t* word, SpinBudget& budget, Ready&& ready, Deadline deadline) {
  std::chrono::nanoseconds longest = kFirstSleep;
  const MonotonicTime start = now();
  for (;;) {
    storeRelaxed(word, uint32_t{1});
    fullFence();
    if (ready()) {
      budget.slept(now() - start);
      return Wait::Ready;
    }
    if (lost()) return Wait::Lost;
    std::chrono::nanoseconds pause = longest;
    if (deadline) {
      pause = std::min<std::chrono::nanoseconds>(pause, *deadline - now());
      if (pause <= std::chrono::nanoseconds::zero()) return Wait::TimedOut;
    }
    doorbell_.sleep(word, 1, pause);
    longest = kForever;
  }
}

// ---- calls

Reply RingGuestChannel::call(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                             std::span<std::byte> payloadOut) {
  RecordShape shape{.call = call, .thread = thread, .argumentBytes = arguments.size()};
  if (payloadOut.size() > kReplyInlineBytes) {
    CHECK(payloadOut.size() <= limits_.slotBytes);
    shape.attachment = Attachment::Download;
    shape.dataBytes = payloadOut.size();
    shape.slot = takeSlot(false);
    if (shape.slot == kNoSlot) return {.lost = true};
  }
  const uint64_t sequence = postShape(shape, arguments, {});
  return awaitReply(thread, sequence, shape.slot, payloadOut);
}

Reply RingGuestChannel::callWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                                     std::span<const std::byte> data, std::span<std::byte> payloadOut) {
  CHECK(payloadOut.size() <= kReplyInlineBytes);
  const uint64_t sequence = postWithData(call, thread, arguments, data);
  return awaitReply(thread, sequence, kNoSlot, payloadOut);
}

Reply RingGuestChannel::awaitReply(uint16_t thread, uint64_t sequence, uint16_t slotIndex,
                                   std::span<std::byte> payloadOut) {
  if (sequence == 0) return {.lost = true};
  flush();
  const Mailbox& mailbox = memory_.mailboxes[thread];
  const auto answered = [&] { return loadAcquire(&mailbox.sequence) == sequence; };
  if (!replyBudgets_[thread].spin(answered)) {
    uint32_t* word = &memory_.sleepers[thread].armed;
    const Wait result = sleepUntil(word, replyBudgets_[thread], answered, std::nullopt);
    if (result != Wait::Ready) return {.lost = true};
    storeRelaxed(word, uint32_t{0});
  }
  Reply reply{.status = loadRelaxed(&mailbox.status), .sequence = sequence};
  const size_t claimed = loadRelaxed(&mailbox.payloadBytes);
  const bool inSlot = claimed > kReplyInlineBytes;
  const size_t bytes =
      std::min(claimed, inSlot && slotIndex == kNoSlot ? kReplyInlineBytes : payloadOut.size());
  reply.payloadBytes = static_cast<uint32_t>(std::min(bytes, payloadOut.size()));
  if (reply.payloadBytes)
    std::memcpy(payloadOut.data(), inSlot && slotIndex != kNoSlot ? slot(slotIndex) : mailbox.payload.data(),
                reply.payloadBytes);
  if (slotIndex != kNoSlot && window_.give(slotIndex)) doorbell_.wake(&memory_.control->slotWanted);
  return reply;
}

// ---- bulk data

uint16_t RingGuestChannel::takeSlot(bool upload) {
  uint16_t taken = kNoSlot;
  const auto few = [&] {
    return (taken = window_.tryTake(upload ? kUploadsInFlight : SIZE_MAX)) != kNoSlot || lost();
  };
  const auto any = [&] { return (taken = window_.tryTake()) != kNoSlot; };
  if (!few() && !(upload ? uploadBudget_ : slotBudget_).spin(few) && !any()) {
    flush();
    window_.addWaiter();
    sleepUntil(&memory_.control->slotWanted, upload ? uploadBudget_ : slotBudget_, any, std::nullopt);
    window_.removeWaiter();
  }
  if (lost()) return kNoSlot;
  if (window_.firstUse(taken)) carrier_->touch(slot(taken), limits_.slotBytes);
  return taken;
}

uint64_t RingGuestChannel::postWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                                        std::span<const std::byte> data) {
  CHECK(data.size() <= limits_.slotBytes);
  RecordShape shape{.call = call,
                    .thread = thread,
                    .attachment = Attachment::Upload,
                    .argumentBytes = arguments.size(),
                    .dataBytes = data.size()};
  if (data.size() <= kInlineDataBytes && shape.lines() <= kMaxRecordLines)
    return postShape(shape, arguments, data);
  shape.slot = takeSlot(true);
  if (shape.slot == kNoSlot) return 0;
  std::memcpy(slot(shape.slot), data.data(), data.size());
  const uint64_t sequence = postShape(shape, arguments, {});
  if (sequence) window_.uploaded(shape.slot, sequence);
  return sequence;
}

Download RingGuestChannel::postDownload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                                        std::span<std::byte> out, uint16_t slotIndex) {
  CHECK(out.size() <= limits_.slotBytes);
  const RecordShape shape{.call = call,
                          .thread = thread,
                          .slot = slotIndex,
                          .attachment = Attachment::Download,
                          .argumentBytes = arguments.size(),
                          .dataBytes = out.size()};
  return {slotIndex, static_cast<uint32_t>(out.size()), postShape(shape, arguments, {}), out.data()};
}

std::optional<Download> RingGuestChannel::tryBeginDownload(uint16_t call, uint16_t thread,
                                                           std::span<const std::byte> arguments,
                                                           std::span<std::byte> out) {
  if (lost()) return Download{};
  const uint16_t taken = window_.tryTake();
  if (taken == kNoSlot) return std::nullopt;
  if (window_.firstUse(taken)) carrier_->touch(slot(taken), limits_.slotBytes);
  return postDownload(call, thread, arguments, out, taken);
}

Download RingGuestChannel::beginDownload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                                         std::span<std::byte> out) {
  const uint16_t taken = takeSlot(false);
  if (taken == kNoSlot) return {};
  return postDownload(call, thread, arguments, out, taken);
}

Reply RingGuestChannel::finishDownload(const Download& download) {
  if (download.sequence == 0 || lost()) return {.lost = true};
  flush();
  const SlotControl& control = memory_.slotControl[download.slot];
  const auto filled = [&] { return loadAcquire(&control.sequence) == download.sequence; };
  if (!slotBudget_.spin(filled) &&
      sleepUntil(&memory_.control->slotWanted, slotBudget_, filled, std::nullopt) != Wait::Ready)
    return {.lost = true};
  const Reply reply{.status = loadRelaxed(&control.status),
                    .payloadBytes = std::min(loadRelaxed(&control.bytes), download.wantedBytes),
                    .sequence = download.sequence};
  copyOut(download.out, slot(download.slot), reply.payloadBytes);
  if (window_.give(download.slot)) doorbell_.wake(&memory_.control->slotWanted);
  return reply;
}

// ---- retired numbers

uint64_t RingGuestChannel::retired(uint32_t streamIndex) {
  CHECK(streamIndex < limits_.streams);
  return lost() ? 0 : loadAcquire(&memory_.retired[streamIndex]);
}

// Several threads may wait for one stream: the smallest number is armed, and whoever wanted a larger one arms
// again.
void RingGuestChannel::armRetireWait(uint32_t streamIndex, uint64_t sequence, uint32_t& armed) {
  // The low half must differ from 0, which means "not armed". One number too early only wakes us once more.
  if (static_cast<uint32_t>(sequence) == 0) --sequence;
  const std::lock_guard lock(retireMutex_);
  uint64_t* wait = &memory_.retireWaits[streamIndex];
  const uint64_t current = loadRelaxed(wait);
  if (current == 0 || sequence < current) storeRelaxed(wait, sequence);
  armed = static_cast<uint32_t>(current == 0 || sequence < current ? sequence : current);
}

Wait RingGuestChannel::waitRetired(uint32_t streamIndex, uint64_t sequence,
                                   std::chrono::nanoseconds timeout) {
  if (lost()) return Wait::Lost;
  CHECK(streamIndex < limits_.streams);
  const uint64_t* retiredWord = &memory_.retired[streamIndex];
  const auto done = [&] { return loadAcquire(retiredWord) >= sequence; };
  if (done()) return Wait::Ready;
  flush();
  if (timeout > std::chrono::nanoseconds::zero() && retireBudget_.spin(done)) return Wait::Ready;
  const Deadline deadline = deadlineAfter(timeout);
  auto* word = reinterpret_cast<uint32_t*>(&memory_.retireWaits[streamIndex]);  // its low half: little-endian
  const MonotonicTime start = now();
  for (;;) {
    uint32_t armed;
    armRetireWait(streamIndex, sequence, armed);
    fullFence();
    if (done()) {
      retireBudget_.slept(now() - start);
      return Wait::Ready;
    }
    if (lost()) return Wait::Lost;
    std::chrono::nanoseconds pause = kForever;
    if (deadline) {
      pause = *deadline - now();
      if (pause <= std::chrono::nanoseconds::zero()) return Wait::TimedOut;
    }
    doorbell_.sleep(word, armed, pause);
  }
}

// ---- events

RingGuestChannel::Taken RingGuestChannel::takeEvent(Event& event) {
  switch (events_.take(eventBytes_.get())) {
    case LineConsumer::Take::Empty:
      return Taken::None;
    case LineConsumer::Take::Broken:
      return Taken::Broken;
    case LineConsumer::Take::Record:
      break;
  }
  events_.tellConsumed();
  RecordHeader header;
  std::memcpy(&header, eventBytes_.get(), sizeof header);
  const size_t bytes = events_.lines() * kLineBytes - unusedBytesOf(header.flags);
  if (header.lines != events_.lines() || bytes < sizeof header || header.sequence != eventSequence_ + 1)
    return Taken::Broken;
  eventSequence_ = header.sequence;
  event.kind = header.call;
  event.sequence = header.sequence;
  event.bytes.assign(eventBytes_.get() + sizeof header, eventBytes_.get() + bytes);
  return Taken::Event;
}

Wait RingGuestChannel::waitEvent(Event& event, std::chrono::nanoseconds timeout) {
  // In a forked child the mapping is not there; a lost session's last events are.
  if (lost() && !memory_.control) return Wait::Lost;
  const std::lock_guard lock(eventMutex_);
  const Deadline deadline = deadlineAfter(timeout);
  for (;;) {
    switch (takeEvent(event)) {
      case Taken::Event:
        return Wait::Ready;
      case Taken::Broken:
        failHost("the executor sent an event that is not well formed");
        return Wait::Lost;
      case Taken::None:
        break;
    }
    if (eventsInterrupted_.exchange(false)) return Wait::Interrupted;
    const auto something = [&] { return events_.more() || eventsInterrupted_.load(); };
    const Wait result = sleepUntil(&memory_.control->eventWaits, eventBudget_, something, deadline);
    if (result != Wait::Ready && !events_.more()) return result;
  }
}

uint64_t RingGuestChannel::eventsAnnounced() {
  return lost() ? 0 : loadAcquire(&memory_.control->eventsAnnounced);
}

void RingGuestChannel::interruptEvents() {
  if (!memory_.control) return;
  eventsInterrupted_.store(true);
  doorbell_.wake(&memory_.control->eventWaits);
}

// ---- the session

Result<Mapping> RingGuestChannel::mapShared(uint64_t regionId, void* address, size_t sizeBytes) {
  if (lost()) return Error{"map shared memory", "the session is lost", 0};
  return carrier_->mapShared(regionId, address, sizeBytes);
}

void RingGuestChannel::failHost(const char* what) {
  onLost(what);
  carrier_->disconnect();
}

void RingGuestChannel::onLost(const std::string& reason) {
  if (!lose(reason)) return;
  // Whoever armed before this is woken; whoever arms after it sees that the session is lost.
  fullFence();
  ControlPage* control = memory_.control;
  for (uint32_t* word : {&control->spaceWanted, &control->eventWaits, &control->slotWanted})
    doorbell_.wake(word);
  for (uint32_t i = 0; i < limits_.threads; ++i) doorbell_.wakeIfArmed(&memory_.sleepers[i].armed);
  for (uint32_t i = 0; i < limits_.streams; ++i) {
    if (loadRelaxed(&memory_.retireWaits[i]) == 0) continue;
    storeRelaxed(&memory_.retireWaits[i], uint64_t{0});
    doorbell_.ring(reinterpret_cast<uint32_t*>(&memory_.retireWaits[i]));
  }
}

void RingGuestChannel::forgetParent() {
  memory_.control = nullptr;
  carrier_->forgetAfterFork();
}

}  // namespace vgpu::transport
