#include "transport/carrier/stream_host_channel.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "transport/carrier/sockets.h"
#include "transport/ring/record_reader.h"

namespace vgpu::transport {

namespace {
constexpr std::chrono::nanoseconds kNoLimit = std::chrono::nanoseconds::max();

FrameHeader frameOf(FrameType type, uint64_t sequence) {
  FrameHeader frame{};
  frame.type = static_cast<uint16_t>(type);
  frame.sequence = sequence;
  return frame;
}
}  // namespace

Result<std::unique_ptr<HostChannel>> makeStreamHostChannel(UniqueFd socket, const ChannelLimits& limits) {
  const size_t windowBytes = size_t{limits.slots} * limits.slotBytes;
  // Pages come with the first use of each slot.
  void* memory = ::mmap(nullptr, windowBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return errnoError("make a window for a byte stream");
  return std::unique_ptr<HostChannel>(
      new StreamHostChannel(std::move(socket), limits, Mapping(memory, windowBytes)));
}

StreamHostChannel::StreamHostChannel(UniqueFd socket, const ChannelLimits& limits, Mapping window)
    : HostChannel(limits),
      socket_(std::move(socket)),
      interrupt_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      window_(std::move(window)),
      owners_(limits.slots),
      out_(socket_.get()),
      streams_(new StreamState[limits.streams]) {
  noticeSilentPeers(socket_.get());
  wakeCost();  // measured now, while the guest is still reading its welcome
  // The dispatcher reads; the watcher looks for the end of the connection or the guest, and writes what was
  // kept.
  watcher_.emplace(socket_.get(), peerProcessOf(socket_.get()), "the guest",
                   PeerWatcher::Callbacks{{},
                                          [this] {
                                            const OutQueue::Sent outcome = out_.flush();
                                            if (outcome == OutQueue::Sent::Broken) close();
                                            return outcome == OutQueue::Sent::Queued;
                                          },
                                          [this](const std::string&) { close(); },
                                          [this] {
                                            tellRetired();
                                            sent(out_.flush());
                                            return false;
                                          }});
}

StreamHostChannel::~StreamHostChannel() {
  close();
  watcher_->stop();
}

// ---- the dispatcher

Next StreamHostChannel::next(IncomingRecord& record, std::chrono::nanoseconds timeout) {
  if (__builtin_expect(broken_, 0)) return Next::Lost;
  const bool limited = timeout != kNoLimit;
  const MonotonicTime deadline = limited ? now() + timeout : MonotonicTime::max();
  for (;;) {
    std::optional<Next> outcome;
    const auto look = [&] {
      const Next read = readRecord(record);
      if (read != Next::TimedOut) outcome = read;
      if (!outcome && interrupted_.load(std::memory_order_relaxed)) outcome = Next::Interrupted;
      return outcome.has_value();
    };
    if (!look() && !budget_.spin(look)) {
      const auto left = limited ? std::chrono::nanoseconds(deadline - now()) : kNoLimit;
      if (left <= std::chrono::nanoseconds::zero()) return Next::TimedOut;
      const MonotonicTime start = now();
      sleepUntilReadable(left);
      budget_.slept(now() - start);
      continue;
    }
    if (outcome == Next::Interrupted) {
      uint64_t count;
      [[maybe_unused]] const ssize_t got = ::read(interrupt_.get(), &count, sizeof count);
      interrupted_.store(false);
    }
    return *outcome;
  }
}

// TimedOut: nothing complete is there.
Next StreamHostChannel::readRecord(IncomingRecord& record) {
  for (;;) {
    switch (frames_.readFrame(socket_.get(), *this)) {
      case FrameReader::Outcome::WouldBlock:
        return lost() ? Next::Lost : Next::TimedOut;
      case FrameReader::Outcome::Closed:
        close();
        return Next::Lost;
      case FrameReader::Outcome::Broken:
        return fail(frames_.wrong());
      case FrameReader::Outcome::Frame:
        break;
    }
    if (!recordReady_) continue;
    recordReady_ = false;
    RecordReader::copy(record, incoming_);
    return Next::Record;
  }
}

bool StreamHostChannel::place(const FrameHeader& header, size_t offset, std::span<std::byte>& into,
                              const char*& wrong) {
  if (header.type == static_cast<uint16_t>(FrameType::Record))
    return placeRecord(header, offset, into, wrong);
  into = {};
  if (header.type == static_cast<uint16_t>(FrameType::WaitRetired) && header.payloadBytes == 0 &&
      header.stream < limits_.streams)
    return true;
  wrong = "a frame is of no known kind";
  return false;
}

// The lines of the record first; then, when they are in order, its data.
bool StreamHostChannel::placeRecord(const FrameHeader& header, size_t offset, std::span<std::byte>& into,
                                    const char*& wrong) {
  const size_t recordBytes = header.index * kLineBytes;
  if (offset == 0) {
    if (header.index == 0 || header.index > kMaxRecordLines || header.payloadBytes < recordBytes) {
      wrong = "a record's frame is shorter than the record";
      return false;
    }
    into = {RecordReader::storage(incoming_), recordBytes};
    return true;
  }
  if (!acceptRecord(header, wrong)) return false;
  const size_t dataBytes = header.payloadBytes - recordBytes;
  if (incoming_.slot() == kNoSlot || incoming_.attachment() != Attachment::Upload ||
      dataBytes != incoming_.dataBytes()) {
    wrong = "a frame is longer than its record and data";
    return false;
  }
  into = places_ ? places_->placeFor(incoming_) : std::span<std::byte>();
  if (into.empty()) into = slotMemory(incoming_.slot()).first(dataBytes);
  CHECK(into.size() == dataBytes);
  RecordReader::setSlotData(incoming_, into);
  return true;
}

bool StreamHostChannel::acceptRecord(const FrameHeader& header, const char*& wrong) {
  wrong = RecordReader::read(incoming_, header.index, sequence_ + 1, limits_);
  if (wrong) return false;
  ++sequence_;
  recordReady_ = true;
  if (incoming_.slot() == kNoSlot || owners_.claim(incoming_.slot(), sequence_)) return true;
  wrong = "a record names a window slot that is in use";
  return false;
}

bool StreamHostChannel::complete(const FrameHeader& header, const char*& wrong) {
  if (header.type == static_cast<uint16_t>(FrameType::WaitRetired)) {
    guestWaitsFor(header.stream, header.sequence);
    return true;
  }
  if (recordReady_) return true;  // it was looked at when its data began
  if (!acceptRecord(header, wrong)) return false;
  if (incoming_.attachment() != Attachment::Upload || incoming_.slot() == kNoSlot ||
      incoming_.dataBytes() == 0)
    return true;
  wrong = "a frame ends before its record's data";
  return false;
}

Next StreamHostChannel::fail(std::string what) {
  violation_ = std::move(what);
  broken_ = true;
  close();
  return Next::Violation;
}

void StreamHostChannel::sleepUntilReadable(std::chrono::nanoseconds timeout) {
  pollfd fds[2] = {{socket_.get(), POLLIN, 0}, {interrupt_.get(), POLLIN, 0}};
  timespec limit{};
  if (timeout != kNoLimit) {
    limit.tv_sec = static_cast<time_t>(timeout.count() / 1'000'000'000);
    limit.tv_nsec = static_cast<long>(timeout.count() % 1'000'000'000);
  }
  ::ppoll(fds, 2, timeout != kNoLimit ? &limit : nullptr, nullptr);
}

void StreamHostChannel::interrupt() {
  interrupted_.store(true);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(interrupt_.get(), &one, sizeof one);
}

// ---- answers

void StreamHostChannel::sent(OutQueue::Sent outcome) {
  if (outcome == OutQueue::Sent::Queued) watcher_->writeSoon();
  if (outcome == OutQueue::Sent::Broken) close();
}

void StreamHostChannel::reply(const ReplyTo& to, int32_t status, std::span<const std::byte> payload) {
  CHECK(to.thread < limits_.threads);
  tellRetired();
  FrameHeader frame = frameOf(FrameType::Reply, to.sequence);
  frame.index = to.thread;
  frame.stream = to.slot;
  frame.status = status;
  const size_t most =
      to.slot == kNoSlot ? kReplyInlineBytes : std::max<size_t>(to.slotBytes, kReplyInlineBytes);
  frame.payloadBytes = static_cast<uint32_t>(std::min(payload.size(), most));
  if (to.slot != kNoSlot) owners_.release(to.slot);  // before the guest can use it again
  sent(out_.send(frame, payload.first(frame.payloadBytes)));
}

std::span<std::byte> StreamHostChannel::slotMemory(uint16_t slot) {
  CHECK(slot < limits_.slots);
  return {window_.data() + size_t{slot} * limits_.slotBytes, limits_.slotBytes};
}

void StreamHostChannel::releaseSlot(uint16_t slot) {
  FrameHeader frame = frameOf(FrameType::Release, owners_.release(slot));
  frame.index = slot;
  sent(out_.send(frame, {}));
}

void StreamHostChannel::completeDownload(const ReplyTo& to, int32_t status, uint32_t bytes) {
  FrameHeader frame = frameOf(FrameType::Download, owners_.release(to.slot));
  frame.index = to.slot;
  frame.status = status;
  frame.payloadBytes = std::min(bytes, to.slotBytes);
  sent(out_.sendBorrowed(frame, slotMemory(to.slot).first(frame.payloadBytes)));
}

// ---- retired numbers: gathered for a millisecond, unless the guest said that it waits

void StreamHostChannel::retire(uint32_t streamIndex, uint64_t sequence) {
  CHECK(streamIndex < limits_.streams);
  bool now = false;
  {
    const std::lock_guard lock(retireMutex_);
    StreamState& state = streams_[streamIndex];
    state.retired = std::max(state.retired, sequence);
    if (!state.untold) untold_.push_back(streamIndex);
    state.untold = true;
    now = state.waitedFor != 0 && state.retired >= state.waitedFor;
    if (now) state.waitedFor = 0;
  }
  if (!now) return watcher_->tickSoon();
  tellRetired();
  sent(out_.flush());
}

void StreamHostChannel::guestWaitsFor(uint32_t streamIndex, uint64_t sequence) {
  bool now = false;
  {
    const std::lock_guard lock(retireMutex_);
    StreamState& state = streams_[streamIndex];
    now = state.retired >= sequence;
    // Of several waits the nearest counts; the others learn a millisecond late at most.
    if (!now && (state.waitedFor == 0 || sequence < state.waitedFor)) state.waitedFor = sequence;
  }
  if (!now) return;
  tellRetired();
  sent(out_.flush());
}

void StreamHostChannel::tellRetired() {
  const std::lock_guard lock(retireMutex_);
  for (const uint32_t streamIndex : untold_) {
    StreamState& state = streams_[streamIndex];
    state.untold = false;
    FrameHeader frame = frameOf(FrameType::Retired, state.retired);
    frame.stream = streamIndex;
    out_.add(frame);
  }
  untold_.clear();
}

uint64_t StreamHostChannel::postEvent(uint16_t kind, std::span<const std::byte> bytes) {
  CHECK(bytes.size() <= kMaxEventBytes && kind != kPadCall);
  if (lost()) return 0;
  const std::lock_guard lock(eventMutex_);
  FrameHeader frame = frameOf(FrameType::Event, ++eventSequence_);
  frame.index = kind;
  frame.payloadBytes = static_cast<uint32_t>(bytes.size());
  sent(out_.send(frame, bytes));
  return eventSequence_;
}

// ---- the session

Result<Mapping> StreamHostChannel::makeShared(uint64_t, void*, size_t) {
  return Error{"make shared memory", "a byte stream shares no memory", 0};
}

Status StreamHostChannel::shareDescriptor(uint64_t, int, size_t) {
  return Error{"share a descriptor", "a byte stream shares no memory", 0};
}

void StreamHostChannel::close() {
  if (lost_.exchange(true)) return;
  ::shutdown(socket_.get(), SHUT_RDWR);  // a dispatcher in poll returns
}

}  // namespace vgpu::transport
