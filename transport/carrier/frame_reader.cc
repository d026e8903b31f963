#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "transport/carrier/frame.h"

namespace vgpu::transport {

size_t FrameReader::takeBuffered(std::byte* into, size_t bytes) {
  const size_t taken = std::min(bytes, end_ - begin_);
  if (taken > 0) std::memcpy(into, buffer_.get() + begin_, taken);
  begin_ += taken;
  if (begin_ == end_) begin_ = end_ = 0;
  return taken;
}

bool FrameReader::nextPlace(FrameSink& sink) {
  if (!sink.place(header_, payloadDone_, place_, wrong_)) return false;
  const size_t rest = header_.payloadBytes - payloadDone_;
  CHECK(place_.size() <= rest && (rest == 0 || !place_.empty()));
  return true;
}

// Consumes the buffer up to the end of a frame; WouldBlock when it needs more bytes.
FrameReader::Outcome FrameReader::parse(FrameSink& sink) {
  if (wrong_) return Outcome::Broken;
  if (headerBytes_ < sizeof header_) {
    headerBytes_ +=
        takeBuffered(reinterpret_cast<std::byte*>(&header_) + headerBytes_, sizeof header_ - headerBytes_);
    if (headerBytes_ < sizeof header_) return Outcome::WouldBlock;
    payloadDone_ = 0;
    if (!nextPlace(sink)) return Outcome::Broken;
  }
  while (payloadDone_ < header_.payloadBytes) {
    if (place_.empty() && !nextPlace(sink)) return Outcome::Broken;
    const size_t taken = takeBuffered(place_.data(), place_.size());
    if (taken == 0) return Outcome::WouldBlock;
    payloadDone_ += taken;
    place_ = place_.subspan(taken);
  }
  headerBytes_ = 0;
  place_ = {};
  return sink.complete(header_, wrong_) ? Outcome::Frame : Outcome::Broken;
}

ssize_t FrameReader::receiveBoth(int socket) {
  iovec parts[2] = {{place_.data(), place_.size()}, {buffer_.get(), kBufferBytes}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  return ::recvmsg(socket, &message, MSG_DONTWAIT);
}

FrameReader::Outcome FrameReader::readFrame(int socket, FrameSink& sink) {
  for (;;) {
    if (const Outcome outcome = parse(sink); outcome != Outcome::WouldBlock) return outcome;
    // The buffer is empty here. A payload goes to its place, what follows it to the buffer.
    const ssize_t got =
        place_.empty() ? ::recv(socket, buffer_.get(), kBufferBytes, MSG_DONTWAIT) : receiveBoth(socket);
    if (got == 0) return Outcome::Closed;
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EFAULT) {
        wrong_ = "the memory that bytes from the peer go to is gone";
        return Outcome::Broken;
      }
      return errno == EAGAIN ? Outcome::WouldBlock : Outcome::Closed;
    }
    const size_t inPlace = std::min(static_cast<size_t>(got), place_.size());
    payloadDone_ += inPlace;
    place_ = place_.subspan(inPlace);
    begin_ = 0;
    end_ = static_cast<size_t>(got) - inPlace;
  }
}

FrameReader::Outcome FrameReader::feed(std::span<const std::byte>& bytes, FrameSink& sink) {
  for (;;) {
    if (const Outcome outcome = parse(sink); outcome != Outcome::WouldBlock) return outcome;
    const size_t taken = std::min(bytes.size(), kBufferBytes);
    if (taken == 0) return Outcome::WouldBlock;
    std::memcpy(buffer_.get(), bytes.data(), taken);
    bytes = bytes.subspan(taken);
    begin_ = 0;
    end_ = taken;
  }
}

}  // namespace vgpu::transport
