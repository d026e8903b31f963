// Who is at the other end of a connection, as the kernel says. The daemon's main thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace vgpu::daemon {

struct Peer {
  uint32_t uid = 0;
  int32_t process = 0;  // 0: not visible from the daemon's process namespace
  UniqueFd pidfd;       // readable when the process has ended; invalid where it cannot be had
  std::string tenant;   // names the code cache: one a user, and one for all who come over TCP
};

Peer identifyUnixPeer(int socket);
Peer identifyTcpPeer();

}  // namespace vgpu::daemon
