#include "transport/carrier/out_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "transport/carrier/handshake.h"
#include "transport/ring/host_channel.h"

namespace vgpu::transport {

namespace {
// The frames that can be outstanding to a guest that plays by the rules fit many times over.
constexpr size_t kMostKeptBytes = kMostQueuedEventBytes;

ssize_t sendParts(int socket, const std::span<const std::byte> (&parts)[3]) {
  // A reply: copying it together is cheaper than what the kernel does for several pieces.
  std::array<std::byte, 256> together;
  if (const size_t bytes = parts[0].size() + parts[1].size() + parts[2].size(); bytes <= together.size()) {
    size_t done = 0;
    for (const auto& part : parts) {
      if (!part.empty()) std::memcpy(together.data() + done, part.data(), part.size());
      done += part.size();
    }
    return ::send(socket, together.data(), bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  iovec vectors[3];
  for (size_t i = 0; i < 3; ++i) vectors[i] = {const_cast<std::byte*>(parts[i].data()), parts[i].size()};
  msghdr message{};
  message.msg_iov = vectors;
  message.msg_iovlen = 3;
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}
}  // namespace

OutQueue::Sent OutQueue::send(const FrameHeader& header, std::span<const std::byte> payload) {
  const std::lock_guard lock(mutex_);
  return write(bytesOf(header), payload, false);
}

OutQueue::Sent OutQueue::sendBorrowed(const FrameHeader& header, std::span<const std::byte> payload) {
  const std::lock_guard lock(mutex_);
  return write(bytesOf(header), payload, true);
}

void OutQueue::add(const FrameHeader& header) {
  const std::lock_guard lock(mutex_);
  const auto bytes = bytesOf(header);
  gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
}

OutQueue::Sent OutQueue::flush() {
  const std::lock_guard lock(mutex_);
  if (gathered_.empty()) return drain();
  return write({}, {}, false);
}

void OutQueue::keep(std::span<const std::byte> bytes, bool borrowed) {
  if (bytes.empty()) return;
  Piece& piece = kept_.emplace_back();
  if (!borrowed) piece.owned.assign(bytes.begin(), bytes.end());
  piece.bytes = borrowed ? bytes : std::span<const std::byte>(piece.owned);
  keptBytes_ += bytes.size();
}

OutQueue::Sent OutQueue::drain() {
  while (!kept_.empty()) {
    Piece& piece = kept_.front();
    const ssize_t sent = ::send(socket_, piece.bytes.data(), piece.bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN ? Sent::Queued : Sent::Broken;
    keptBytes_ -= static_cast<size_t>(sent);
    piece.bytes = piece.bytes.subspan(static_cast<size_t>(sent));
    if (piece.bytes.empty()) kept_.pop_front();
  }
  return Sent::All;
}

// Gathered frames, then `first`, then `second`, in one system call where possible.
OutQueue::Sent OutQueue::write(std::span<const std::byte> first, std::span<const std::byte> second,
                               bool borrowed) {
  Sent state = drain();
  if (state == Sent::Broken) return state;
  const std::span<const std::byte> parts[3] = {gathered_, first, second};
  size_t done = 0;
  if (state == Sent::All) {
    ssize_t sent;
    do {
      sent = sendParts(socket_, parts);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) return Sent::Broken;
    done = sent < 0 ? 0 : static_cast<size_t>(sent);
  }
  for (size_t i = 0; i < 3; ++i) {
    const size_t skip = std::min(done, parts[i].size());
    done -= skip;
    keep(parts[i].subspan(skip), borrowed && i == 2);
  }
  gathered_.clear();
  if (keptBytes_ > kMostKeptBytes) return Sent::Broken;
  return kept_.empty() ? Sent::All : Sent::Queued;
}

}  // namespace vgpu::transport
