// Socket reads and writes with a deadline, for the handshake. Either process, one thread a socket. Received
// bytes are untrusted.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu::transport {

// Fills `into`; descriptors that arrive with the bytes are appended to `fds` (nullptr: none are taken).
// Error code ETIMEDOUT at the deadline, ECONNRESET when the peer closed before all was there.
Status readExactly(int socket, std::span<std::byte> into, MonotonicTime deadline,
                   std::vector<UniqueFd>* fds = nullptr);

// Waits until poll() reports `events`.
Status waitFor(int fd, short events, MonotonicTime deadline);

bool isUnix(int socket);
void setNonBlocking(int fd, bool nonBlocking);
// Small messages leave at once. Ignored on sockets that are not TCP.
void setNoDelay(int socket);
// A TCP peer whose machine vanished is given up 30 to 35 seconds after it was last heard of, whether or not
// something was on its way to it; unix sockets need no such thing.
void noticeSilentPeers(int socket);

}  // namespace vgpu::transport
