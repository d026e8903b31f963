// connect: how a guest reaches a mediator and becomes one end of a session. Runs in the guest program, on the
// thread that first needs the session. `hello` and the welcome are opaque here. Bytes from the host are
// bounded and checked; nothing is printed.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "transport/carrier/endpoint.h"
#include "transport/ring/guest_channel.h"

namespace vgpu::transport {

constexpr size_t kMostHelloBytes = 4096;
constexpr size_t kMostWelcomeBytes = 64 * 1024;
constexpr size_t kMostRefusalBytes = 1024;

struct ConnectError {
  enum class Kind {
    NotThere,      // nobody listens at the address
    NoPermission,  // the address exists, this user may not use it
    WrongVersion,  // something answers, and speaks another protocol or another version of ours
    Refused,       // the mediator said no: refusalCode, and its words in the message
    TimedOut,
    Broken,  // the connection ended or sent nonsense during the handshake, or mapping failed
  };
  Kind kind = Kind::Broken;
  int32_t refusalCode = 0;
  std::string message;  // one line: address, cause, remedy
};

struct Connected {
  std::unique_ptr<GuestChannel> channel;  // null: error is set
  std::vector<std::byte> welcome;
  std::optional<ConnectError> error;
};

// `timeout` covers everything, also an executor that takes seconds to start its driver.
Connected connect(const Endpoint& endpoint, std::span<const std::byte> hello,
                  std::chrono::milliseconds timeout = std::chrono::seconds(60));

// Only whether somebody accepts connections there.
bool isListening(const Endpoint& endpoint);

}  // namespace vgpu::transport
