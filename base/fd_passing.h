// Messages with file descriptors over a unix socket (SCM_RIGHTS). Any thread, one at a time a socket.
// Received bytes are untrusted; received descriptors are close-on-exec.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu {

constexpr size_t kMaxPassedFds = 16;  // far below SCM_MAX_FD; bounds what a peer can make us open at once

struct ReceivedMessage {
  size_t sizeBytes = 0;  // 0: the peer closed
  std::vector<UniqueFd> fds;
};

// Sends all of `bytes`, with `fds` attached to its first byte.
Status sendWithFds(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

// Receives at most `into.size()` bytes and the descriptors that came with them.
Result<ReceivedMessage> receiveWithFds(int socket, std::span<std::byte> into);

}  // namespace vgpu
