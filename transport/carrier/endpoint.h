// Endpoint: where a mediator listens, as a user writes it: `unix:/path` (memory shared over a unix socket),
// `unix-stream:/path` (the byte stream over a unix socket, for machines that cannot share descriptors, and
// for tests), `tcp:host:port`, `tcp:[v6]:port`. Any thread. Text comes from users and configuration; errors
// name what is wrong with it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu::transport {

enum class CarrierKind : uint8_t { Memfd = 0, Stream = 1 };

struct Endpoint {
  enum class Family { Unix, Tcp };
  Family family = Family::Unix;
  CarrierKind carrier = CarrierKind::Memfd;
  std::string path;  // Unix
  std::string host;  // Tcp
  uint16_t port = 0;

  std::string text() const;
};

Result<Endpoint> parseEndpoint(std::string_view text);

// A listening socket, close-on-exec, non-blocking. `unix:` and `unix-stream:` of the same path are the same
// listener: the guest's first bytes say which it wants. A socket file that nobody listens on any more is
// replaced; one that is in use is an error. Port 0 asks for a free port: see boundPort. The socket file is
// made with `mode`.
Result<UniqueFd> listenOn(const Endpoint& endpoint, unsigned mode = 0666);
Result<uint16_t> boundPort(int listener);

}  // namespace vgpu::transport
