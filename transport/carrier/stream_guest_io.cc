// The sending and receiving half of StreamGuestChannel.
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "transport/carrier/stream_guest_channel.h"
#include "transport/ring/host_channel.h"

namespace vgpu::transport {

namespace {
// Posted records are gathered while they come fast, since a system call costs as much as encoding ten of
// them, and leave when there are this many, or with the next thing that somebody waits for, or a millisecond
// later.
constexpr uint32_t kMostGatheredRecords = 16;
constexpr size_t kMostGatheredBytes = 16 * 1024;
// A record that comes alone leaves at once.
constexpr auto kAloneAfter = std::chrono::microseconds(50);
}  // namespace

// ---- sending

std::byte* StreamGuestChannel::reserve(uint16_t call, uint16_t thread, size_t argumentBytes) {
  return reserveShape({.call = call, .thread = thread, .argumentBytes = argumentBytes}, nullptr, false);
}

// Returns with sendMutex_ held, unless it returns nullptr. What the answer needs is noted before the record
// can leave.
std::byte* StreamGuestChannel::reserveShape(const RecordShape& shape, std::byte* out, bool wantsReply) {
  const size_t lines = shape.lines();
  CHECK(lines <= kMaxRecordLines && shape.call != kPadCall);
  if (lost()) return nullptr;
  sendMutex_.lock();
  const uint64_t sequence = ++sequence_;
  if (shape.attachment == Attachment::Download) {
    Expected& expected = expected_[shape.slot];
    expected.out = out;
    expected.wantedBytes = static_cast<uint32_t>(shape.dataBytes);
    expected.sequence.store(sequence, std::memory_order_release);
  }
  if (wantsReply) awaited_[shape.thread].store(sequence, std::memory_order_release);

  FrameHeader frame{};
  frame.type = static_cast<uint16_t>(FrameType::Record);
  frame.index = static_cast<uint16_t>(lines);
  const bool dataFollows = shape.attachment == Attachment::Upload && shape.slot != kNoSlot;
  frame.payloadBytes = static_cast<uint32_t>(lines * kLineBytes + (dataFollows ? shape.dataBytes : 0));
  const size_t start = outgoing_.size();
  outgoing_.resize(start + sizeof frame + lines * kLineBytes);
  std::memcpy(outgoing_.data() + start, &frame, sizeof frame);
  return writeHeader(outgoing_.data() + start + sizeof frame, shape, sequence);
}

uint64_t StreamGuestChannel::publish() {
  const uint64_t sequence = sequence_;
  ++waitingRecords_;
  const bool enough = waitingRecords_ >= kMostGatheredRecords || outgoing_.size() >= kMostGatheredBytes;
  finishSending(enough || now() - lastSend_ > kAloneAfter ? Urgency::Now : Urgency::Soon);
  sendMutex_.unlock();
  return sequence;
}

void StreamGuestChannel::finishSending(Urgency urgency, std::span<const std::byte> data) {
  if (urgency == Urgency::Now || !data.empty())
    sendAll(data, true);
  else
    watcher_->tickSoon();
}

uint64_t StreamGuestChannel::postShape(const RecordShape& shape, std::span<const std::byte> arguments,
                                       std::span<const std::byte> data, std::byte* out, bool wantsReply) {
  std::byte* place = reserveShape(shape, out, wantsReply);
  if (!place) return 0;
  copyBytes(place, arguments);
  if (shape.attachment != Attachment::Upload || data.empty()) data = {};
  if (shape.dataInline() && !data.empty())
    std::memcpy(place + (shape.inlineDataOffset() - shape.argumentsOffset()), data.data(), data.size());
  if (!wantsReply && shape.attachment != Attachment::Download && (shape.dataInline() || data.empty()))
    return publish();
  const uint64_t sequence = sequence_;
  finishSending(Urgency::Now, shape.dataInline() ? std::span<const std::byte>() : data);
  sendMutex_.unlock();
  return lost() ? 0 : sequence;
}

ssize_t StreamGuestChannel::sendFrom(size_t done, std::span<const std::byte> data, int flags) {
  if (data.empty()) return ::send(socket_.get(), outgoing_.data() + done, outgoing_.size() - done, flags);
  const size_t ofFirst = std::min(done, outgoing_.size());
  iovec parts[2] = {{outgoing_.data() + ofFirst, outgoing_.size() - ofFirst},
                    {const_cast<std::byte*>(data.data()) + (done - ofFirst), data.size() - (done - ofFirst)}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  return ::sendmsg(socket_.get(), &message, flags);
}

// Sends what was gathered and then `data`. Without mayBlock it sends what the socket takes; whether all has
// gone.
bool StreamGuestChannel::sendAll(std::span<const std::byte> data, bool mayBlock) {
  size_t done = 0;
  const size_t total = outgoing_.size() + data.size();
  while (done < total && !lost()) {
    const ssize_t sent = sendFrom(done, data, MSG_NOSIGNAL | (mayBlock ? 0 : MSG_DONTWAIT));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) {
      fail("the connection to the mediator broke");
      break;
    }
    done += static_cast<size_t>(sent);
  }
  outgoing_.erase(outgoing_.begin(),
                  outgoing_.begin() + static_cast<ptrdiff_t>(std::min(done, outgoing_.size())));
  if (!outgoing_.empty()) return false;
  waitingRecords_ = 0;
  lastSend_ = now();
  return true;
}

void StreamGuestChannel::flush() {
  if (lost()) return;
  const std::lock_guard lock(sendMutex_);
  if (!outgoing_.empty()) sendAll({}, true);
}

// ---- receiving

bool StreamGuestChannel::placeInSlot(uint32_t slot, const FrameHeader& header, std::span<std::byte>& into) {
  if (slot >= limits_.slots) return false;
  const Expected& expected = expected_[slot];
  if (header.sequence == 0 || expected.sequence.load(std::memory_order_acquire) != header.sequence)
    return false;
  if (header.payloadBytes > expected.wantedBytes) return false;
  into = {expected.out, header.payloadBytes};
  return true;
}

bool StreamGuestChannel::placeReply(const FrameHeader& header, std::span<std::byte>& into) {
  if (header.index >= limits_.threads || header.sequence == 0) return false;
  if (awaited_[header.index].load(std::memory_order_acquire) != header.sequence) return false;
  if (header.payloadBytes > kReplyInlineBytes) return placeInSlot(header.stream, header, into);
  into = std::span(mailboxes_[header.index].payload).first(header.payloadBytes);
  return true;
}

bool StreamGuestChannel::place(const FrameHeader& header, size_t, std::span<std::byte>& into,
                               const char*& wrong) {
  bool allowed = false;
  switch (static_cast<FrameType>(header.type)) {
    case FrameType::Reply:
      allowed = placeReply(header, into);
      break;
    case FrameType::Download:
      allowed = placeInSlot(header.index, header, into);
      break;
    case FrameType::Release:
      allowed = header.index < limits_.slots && header.payloadBytes == 0;
      break;
    case FrameType::Retired:
      allowed = header.stream < limits_.streams && header.payloadBytes == 0;
      break;
    case FrameType::Event:
      allowed = header.payloadBytes <= kMaxEventBytes &&
                header.sequence == eventsReceived_.load(std::memory_order_relaxed) + 1;
      if (allowed) eventBytes_.resize(header.payloadBytes);
      into = eventBytes_;
      break;
    default:
      break;
  }
  if (header.payloadBytes == 0) into = {};
  if (!allowed) wrong = "the mediator sent a frame that nothing here waits for";
  return allowed;
}

bool StreamGuestChannel::complete(const FrameHeader& header, const char*& wrong) {
  switch (static_cast<FrameType>(header.type)) {
    case FrameType::Reply: {
      Mailbox& mailbox = mailboxes_[header.index];
      awaited_[header.index].store(0, std::memory_order_relaxed);
      mailbox.status = header.status;
      mailbox.payloadBytes = header.payloadBytes;
      storeRelease(&mailbox.sequence, header.sequence);
      return true;
    }
    case FrameType::Download:
    case FrameType::Release: {
      SlotControl& control = slotControl_[header.index];
      if (header.type == static_cast<uint16_t>(FrameType::Download)) {
        expected_[header.index].sequence.store(0, std::memory_order_relaxed);
        control.status = header.status;
        control.bytes = header.payloadBytes;
      }
      storeRelease(&control.sequence, header.sequence);
      return true;
    }
    case FrameType::Retired:
      if (retired_[header.stream].load(std::memory_order_relaxed) < header.sequence)
        retired_[header.stream].store(header.sequence, std::memory_order_release);
      return true;
    default:
      break;
  }
  const std::lock_guard lock(eventMutex_);
  eventsBytes_ += header.payloadBytes + sizeof(Event);
  if (eventsBytes_ > kMostQueuedEventBytes) {
    wrong = "the mediator sent more events than this program handles";
    return false;
  }
  events_.push_back({header.index, header.sequence, eventBytes_});
  eventsReceived_.store(header.sequence, std::memory_order_release);
  return true;
}

// Whether to go on.
bool StreamGuestChannel::heard(FrameReader::Outcome outcome) {
  if (outcome == FrameReader::Outcome::Closed) fail("the mediator closed the connection");
  if (outcome == FrameReader::Outcome::Broken) fail(frames_.wrong());
  return outcome == FrameReader::Outcome::Frame;
}

// With reader_ held. What was read ahead is handled to its end, since nobody may look at the socket for it
// again.
void StreamGuestChannel::readWhileNot(bool (*ready)(void*), void* context) {
  activity_.fetch_add(1, std::memory_order_relaxed);
  bool any = false;
  while (!lost() && heard(frames_.readFrame(socket_.get(), *this))) {
    any = true;
    if (ready(context)) break;
  }
  while (any && !lost() && heard(frames_.parseBuffered(*this))) {
  }
  if (any) waiters_.wakeReady();
}

void StreamGuestChannel::waitForBytes(Deadline deadline) {
  timespec limit{};
  if (deadline) {
    const auto left = std::max<std::chrono::nanoseconds>(*deadline - now(), std::chrono::nanoseconds::zero());
    limit.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000);
    limit.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
  }
  pollfd one{socket_.get(), POLLIN, 0};
  ::ppoll(&one, 1, deadline ? &limit : nullptr, nullptr);
}

// The watching thread reads only while nobody else does. It looks away for a moment when others have been
// reading, and after frames that only a later call will ask about: waking up for each of them would take the
// processor from whoever is sending.
PeerWatcher::Readable StreamGuestChannel::readInBackground() {
  if (!reader_.try_lock()) return {.gone = {}, .rest = true};
  const bool othersRead = activity_.load(std::memory_order_relaxed) != activitySeen_;
  const uint64_t eventsBefore = eventsReceived_.load(std::memory_order_relaxed);
  readWhileNot([](void*) { return false; }, nullptr);
  const bool events = eventsReceived_.load(std::memory_order_relaxed) != eventsBefore;
  activitySeen_ = activity_.load(std::memory_order_relaxed);
  reader_.unlock();
  waiters_.wakeReader();
  return {.gone = lost() ? lostReason() : "", .rest = othersRead || !events};
}

// A thread whose call failed returns only when no reader can still be writing to its buffers.
void StreamGuestChannel::letReaderLeave() {
  if (!socket_.valid()) return;
  const std::lock_guard lock(reader_);
}

}  // namespace vgpu::transport
