// accept: how an executor takes over a connected socket that the daemon handed to it, from which nothing was
// read. Runs in the executor (or, for refusals, in the daemon). The guest's bytes are untrusted: bounded,
// checked, with a time limit. The guest's first bytes say which carrier it wants; the answer (welcome or
// refusal) is opaque here.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "transport/carrier/connect.h"
#include "transport/ring/host_channel.h"

namespace vgpu::transport {

// A guest that has said hello and waits for an answer.
class PendingGuest {
 public:
  PendingGuest(UniqueFd socket, CarrierKind carrier, std::vector<std::byte> hello);

  CarrierKind carrier() const { return carrier_; }
  const char* carrierName() const;  // "memfd", "unix-stream", "tcp": for logs and metrics
  std::span<const std::byte> hello() const { return hello_; }
  // Of a guest on this machine, as the kernel says (not the guest); -1 over TCP.
  pid_t processId() const { return processId_; }
  uid_t userId() const { return userId_; }

  // Answers and becomes the session. `welcome` at most kMostWelcomeBytes.
  Result<std::unique_ptr<HostChannel>> welcome(std::span<const std::byte> welcome,
                                               const ChannelLimits& limits = {}) &&;
  void refuse(int32_t code, std::string_view text) &&;

 private:
  UniqueFd socket_;
  CarrierKind carrier_;
  std::vector<std::byte> hello_;
  pid_t processId_ = -1;
  uid_t userId_ = static_cast<uid_t>(-1);
};

// Reads the guest's hello. A guest of another protocol version is told so before this fails.
Result<PendingGuest> accept(UniqueFd socket, std::chrono::milliseconds timeout = std::chrono::seconds(5));

// Refuses a guest without waiting for its hello; never blocks. For a daemon that has no room for a session.
void refuseConnection(UniqueFd socket, int32_t code, std::string_view text);

}  // namespace vgpu::transport
