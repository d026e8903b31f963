#include "transport/carrier/stream_guest_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "transport/carrier/handshake.h"
#include "transport/carrier/sockets.h"

namespace vgpu::transport {

namespace {
constexpr auto kFewUploadsFor = std::chrono::milliseconds(1);
}

std::unique_ptr<GuestChannel> makeStreamGuestChannel(UniqueFd socket, const ChannelLimits& limits) {
  return std::make_unique<StreamGuestChannel>(std::move(socket), limits);
}

StreamGuestChannel::StreamGuestChannel(UniqueFd socket, const ChannelLimits& limits)
    : GuestChannel(limits),
      socket_(std::move(socket)),
      mailboxes_(limits.threads),
      awaited_(new std::atomic<uint64_t>[limits.threads]()),
      slotControl_(limits.slots),
      expected_(new Expected[limits.slots]),
      retired_(new std::atomic<uint64_t>[limits.streams]()),
      window_(slotControl_.data(), limits),
      replyBudgets_(new SpinBudget[limits.threads]) {
  noticeSilentPeers(socket_.get());
  if (!isUnix(socket_.get())) deathNotice_.emplace(socket_.get());
  watcher_.emplace(socket_.get(), UniqueFd(), "the mediator",
                   PeerWatcher::Callbacks{[this] { return readInBackground(); },
                                          {},
                                          [this](const std::string& reason) { fail(reason); },
                                          [this] {
                                            const std::unique_lock lock(sendMutex_, std::try_to_lock);
                                            return !lock || !sendAll({}, false);
                                          }});
}

StreamGuestChannel::~StreamGuestChannel() {
  fail("closed");
  watcher_->stop();
}

// ---- waiting: for something that a frame brings, by reading or by being woken by whoever reads

template <class Ready>
Wait StreamGuestChannel::await(SpinBudget& budget, Ready&& ready, Deadline deadline, bool mayRead) {
  if (ready()) return Wait::Ready;
  using Predicate = std::remove_reference_t<Ready>;
  const auto isReady = [](void* context) { return static_cast<bool>((*static_cast<Predicate*>(context))()); };
  void* context = const_cast<void*>(static_cast<const void*>(&ready));
  const auto readAndLook = [&] {
    if (reader_.try_lock()) {
      readWhileNot(isReady, context);
      reader_.unlock();
    }
    return ready() || lost();
  };
  Wait result = Wait::Ready;
  if (!mayRead || !budget.spin(readAndLook)) {
    WaitList::Waiter waiter{.ready = isReady, .context = context, .mayRead = mayRead};
    const MonotonicTime start = now();
    waiters_.add(waiter);
    result = sleepUntil(waiter, deadline);
    waiters_.remove(waiter);
    if (result == Wait::Ready) budget.slept(now() - start);
  }
  if (mayRead) waiters_.wakeReader();
  return ready() ? Wait::Ready : lost() ? Wait::Lost : result;
}

Wait StreamGuestChannel::sleepUntil(WaitList::Waiter& waiter, Deadline deadline) {
  for (;;) {
    storeRelaxed(&waiter.word, uint32_t{1});
    fullFence();
    if (waiter.ready(waiter.context)) return Wait::Ready;
    if (lost()) return Wait::Lost;
    if (deadline && now() >= *deadline) return Wait::TimedOut;
    if (waiter.mayRead && reader_.try_lock()) {
      waitForBytes(deadline);
      readWhileNot(waiter.ready, waiter.context);
      reader_.unlock();
    } else {
      waiters_.sleep(waiter, deadline ? std::chrono::nanoseconds(*deadline - now()) : kForever);
    }
  }
}

// ---- calls

Reply StreamGuestChannel::call(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                               std::span<std::byte> payloadOut) {
  RecordShape shape{.call = call, .thread = thread, .argumentBytes = arguments.size()};
  if (payloadOut.size() > kReplyInlineBytes) {
    CHECK(payloadOut.size() <= limits_.slotBytes);
    shape.attachment = Attachment::Download;
    shape.dataBytes = payloadOut.size();
    shape.slot = takeSlot(false);
    if (shape.slot == kNoSlot) return {.lost = true};
  }
  return awaitReply(thread, postShape(shape, arguments, {}, payloadOut.data(), true), shape.slot, payloadOut);
}

Reply StreamGuestChannel::callWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                                       std::span<const std::byte> data, std::span<std::byte> payloadOut) {
  CHECK(payloadOut.size() <= kReplyInlineBytes);
  return awaitReply(thread, postUpload(call, thread, arguments, data, true), kNoSlot, payloadOut);
}

Reply StreamGuestChannel::awaitReply(uint16_t thread, uint64_t sequence, uint16_t slot,
                                     std::span<std::byte> payloadOut) {
  if (sequence == 0) return {.lost = true};
  const Mailbox& mailbox = mailboxes_[thread];
  const auto answered = [&] { return loadAcquire(&mailbox.sequence) == sequence; };
  if (await(replyBudgets_[thread], answered, std::nullopt) != Wait::Ready) {
    letReaderLeave();
    return {.lost = true};
  }
  Reply reply{.status = mailbox.status, .sequence = sequence};
  reply.payloadBytes = static_cast<uint32_t>(std::min<size_t>(mailbox.payloadBytes, payloadOut.size()));
  if (mailbox.payloadBytes <= kReplyInlineBytes && reply.payloadBytes > 0)
    std::memcpy(payloadOut.data(), mailbox.payload.data(), reply.payloadBytes);
  if (slot != kNoSlot) giveSlot(slot);
  return reply;
}

// ---- bulk data

void StreamGuestChannel::giveSlot(uint16_t slot) {
  expected_[slot].sequence.store(0, std::memory_order_relaxed);
  if (window_.give(slot)) waiters_.wakeReady();
}

// Few uploads at a time keep what is under way in the processors' caches, on loopback twice as fast as
// letting the socket's buffers fill. Only for a moment, though: the host may be holding slots for a stream
// that cannot run.
uint16_t StreamGuestChannel::takeSlot(bool upload) {
  size_t most = upload ? kUploadsInFlight : SIZE_MAX;
  while (!lost()) {
    if (const uint16_t slot = window_.tryTake(most); slot != kNoSlot) return slot;
    flush();
    const bool few = most != SIZE_MAX;
    window_.addWaiter();
    const Wait waited = await(
        slotBudget_, [&] { return window_.mayTake(most); },
        few ? Deadline(now() + kFewUploadsFor) : Deadline());
    window_.removeWaiter();
    if (waited == Wait::TimedOut) most = SIZE_MAX;
  }
  return kNoSlot;
}

uint64_t StreamGuestChannel::postWithData(uint16_t call, uint16_t thread,
                                          std::span<const std::byte> arguments,
                                          std::span<const std::byte> data) {
  return postUpload(call, thread, arguments, data, false);
}

uint64_t StreamGuestChannel::postUpload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                                        std::span<const std::byte> data, bool wantsReply) {
  CHECK(data.size() <= limits_.slotBytes);
  RecordShape shape{.call = call,
                    .thread = thread,
                    .attachment = Attachment::Upload,
                    .argumentBytes = arguments.size(),
                    .dataBytes = data.size()};
  if (data.size() <= kInlineDataBytes && shape.lines() <= kMaxRecordLines)
    return postShape(shape, arguments, data, nullptr, wantsReply);
  shape.slot = takeSlot(true);
  if (shape.slot == kNoSlot) return 0;
  const uint64_t sequence = postShape(shape, arguments, data, nullptr, wantsReply);
  if (sequence) window_.uploaded(shape.slot, sequence);
  return sequence;
}

Download StreamGuestChannel::postDownload(uint16_t call, uint16_t thread,
                                          std::span<const std::byte> arguments, std::span<std::byte> out,
                                          uint16_t slot) {
  CHECK(out.size() <= limits_.slotBytes);
  const RecordShape shape{.call = call,
                          .thread = thread,
                          .slot = slot,
                          .attachment = Attachment::Download,
                          .argumentBytes = arguments.size(),
                          .dataBytes = out.size()};
  return {slot, static_cast<uint32_t>(out.size()), postShape(shape, arguments, {}, out.data(), false),
          out.data()};
}

std::optional<Download> StreamGuestChannel::tryBeginDownload(uint16_t call, uint16_t thread,
                                                             std::span<const std::byte> arguments,
                                                             std::span<std::byte> out) {
  if (lost()) return Download{};
  const uint16_t slot = window_.tryTake();
  if (slot == kNoSlot) return std::nullopt;
  return postDownload(call, thread, arguments, out, slot);
}

Download StreamGuestChannel::beginDownload(uint16_t call, uint16_t thread,
                                           std::span<const std::byte> arguments, std::span<std::byte> out) {
  const uint16_t slot = takeSlot(false);
  if (slot == kNoSlot) return {};
  return postDownload(call, thread, arguments, out, slot);
}

Reply StreamGuestChannel::finishDownload(const Download& download) {
  if (download.sequence == 0) return {.lost = true};
  if (!lost()) flush();
  const SlotControl& control = slotControl_[download.slot];
  const auto filled = [&] { return loadAcquire(&control.sequence) == download.sequence; };
  if (await(slotBudget_, filled, std::nullopt) != Wait::Ready) {
    letReaderLeave();
    return {.lost = true};
  }
  const Reply reply{.status = control.status,
                    .payloadBytes = std::min(control.bytes, download.wantedBytes),
                    .sequence = download.sequence};
  giveSlot(download.slot);
  return reply;
}

// ---- retired numbers

uint64_t StreamGuestChannel::retired(uint32_t streamIndex) {
  CHECK(streamIndex < limits_.streams);
  return retired_[streamIndex].load(std::memory_order_acquire);
}

Wait StreamGuestChannel::waitRetired(uint32_t streamIndex, uint64_t sequence,
                                     std::chrono::nanoseconds timeout) {
  if (lost()) return Wait::Lost;
  const auto done = [&] { return retired(streamIndex) >= sequence; };
  if (done()) return Wait::Ready;
  {
    const std::lock_guard lock(sendMutex_);
    FrameHeader frame{};
    frame.type = static_cast<uint16_t>(FrameType::WaitRetired);
    frame.stream = streamIndex;
    frame.sequence = sequence;
    const auto bytes = bytesOf(frame);
    outgoing_.insert(outgoing_.end(), bytes.begin(), bytes.end());
    finishSending(Urgency::Now);
  }
  return await(retireBudget_, done, timeout == kForever ? Deadline() : Deadline(now() + timeout));
}

// ---- events

Wait StreamGuestChannel::waitEvent(Event& event, std::chrono::nanoseconds timeout) {
  const auto something = [&] {
    return eventsReceived_.load(std::memory_order_acquire) != eventsTaken_.load(std::memory_order_relaxed) ||
           eventsInterrupted_.load();
  };
  const Deadline deadline = timeout == kForever ? Deadline() : Deadline(now() + timeout);
  const Wait result = await(eventBudget_, something, deadline, false);
  const std::lock_guard lock(eventMutex_);
  if (!events_.empty()) {
    event = std::move(events_.front());
    events_.pop_front();
    eventsBytes_ -= event.bytes.size() + sizeof(Event);
    eventsTaken_.fetch_add(1);
    return Wait::Ready;
  }
  if (eventsInterrupted_.exchange(false)) return Wait::Interrupted;
  return result == Wait::Ready ? Wait::TimedOut : result;
}

void StreamGuestChannel::interruptEvents() {
  eventsInterrupted_.store(true);
  waiters_.wakeReady();
}

// ---- the session

Result<Mapping> StreamGuestChannel::mapShared(uint64_t, void*, size_t) {
  return Error{"map shared memory", "a byte stream shares no memory", 0};
}

void StreamGuestChannel::fail(const std::string& reason) {
  if (!lose(reason)) return;
  ::shutdown(socket_.get(), SHUT_RDWR);  // whoever is in poll or send returns
  waiters_.wakeAll();
}

void StreamGuestChannel::forgetParent() {
  new (&reader_) std::mutex;  // other threads of the parent may have held these
  new (&eventMutex_) std::mutex;
  new (&waiters_) WaitList;
  watcher_->forgetAfterFork();
  if (deathNotice_) deathNotice_->forgetAfterFork();
  socket_.reset();  // only our copy of the descriptor: the parent's connection stays
}

}  // namespace vgpu::transport
