// The socket addresses of an endpoint. Either process, any thread; looking up a host name may take as long as
// the resolver does.
#pragma once

#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "transport/carrier/endpoint.h"

namespace vgpu::transport {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  int family = AF_UNSPEC;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// At least one. Error code ENOENT: no such host.
Result<std::vector<SocketAddress>> addressesOf(const Endpoint& endpoint, bool toListen);

}  // namespace vgpu::transport
