// OutputForwarder: what device code prints (printf, assertions), sent to the guest as events, before the
// answer of the call that waited for it. The CPU driver hands its text over; NVIDIA's driver writes to
// descriptors 1 and 2 of this process, which are pipes then. flush() from any thread. The bytes come from
// device code, that is from the guest.
#pragma once

#include <array>
#include <mutex>
#include <span>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "mediator/executor/driver.h"
#include "transport/ring/host_channel.h"

namespace vgpu::executor {

class OutputForwarder {
 public:
  // Before the channel stands: descriptors 1 and 2 become pipes where the driver has no other way to hand
  // text over.
  static Result<OutputForwarder> prepare(const Driver& driver);
  void start(const Driver& driver, transport::HostChannel& channel);
  // All that was written until now is with the guest.
  void flush();

  OutputForwarder(OutputForwarder&& other) noexcept : pipes_(std::move(other.pipes_)) {}
  ~OutputForwarder() = default;

 private:
  OutputForwarder() = default;
  static void take(int fd, const void* text, size_t sizeBytes, void* user);
  void post(int fd, std::span<const std::byte> text);
  void drain(size_t which);

  transport::HostChannel* channel_ = nullptr;
  std::array<UniqueFd, 2> pipes_;
  std::mutex mutex_;
};

}  // namespace vgpu::executor
