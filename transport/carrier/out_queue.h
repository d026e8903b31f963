// OutQueue: frames on their way from the host to a guest that may not be reading. Executor, any thread. Never
// blocks: what the socket does not take is kept and written by the channel's watching thread. Bounded: a
// guest that lets too much pile up loses its session.
#pragma once

#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "transport/carrier/frame.h"

namespace vgpu::transport {

class OutQueue {
 public:
  enum class Sent { All, Queued, Broken };

  explicit OutQueue(int socket) : socket_(socket) {}

  // A frame whose payload is copied if it must be kept.
  Sent send(const FrameHeader& header, std::span<const std::byte> payload);
  // A frame whose payload stays unchanged until the guest has it (a window slot).
  Sent sendBorrowed(const FrameHeader& header, std::span<const std::byte> payload);
  // Adds a small frame that leaves with the next one, or with flush.
  void add(const FrameHeader& header);
  // Writes what the socket takes.
  Sent flush();

 private:
  struct Piece {
    std::vector<std::byte> owned;
    std::span<const std::byte> bytes;
  };
  Sent write(std::span<const std::byte> first, std::span<const std::byte> second, bool borrowed);
  Sent drain();
  void keep(std::span<const std::byte> bytes, bool borrowed);

  int socket_;
  std::mutex mutex_;
  std::vector<std::byte> gathered_;  // small frames that nobody is in a hurry for
  std::deque<Piece> kept_;
  size_t keptBytes_ = 0;
};

}  // namespace vgpu::transport
