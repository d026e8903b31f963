#include "transport/carrier/sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fd_passing.h"

namespace vgpu::transport {

Status waitFor(int fd, short events, MonotonicTime deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now());
    pollfd one{fd, events, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::clamp<long long>(left.count(), 0, 1 << 30)));
    if (ready > 0) return success();
    if (ready < 0 && errno != EINTR) return errnoError("wait for a socket");
    if (ready == 0 && now() >= deadline) return Error{"wait for a socket", "timed out", ETIMEDOUT};
  }
}

Status readExactly(int socket, std::span<std::byte> into, MonotonicTime deadline,
                   std::vector<UniqueFd>* fds) {
  while (!into.empty()) {
    if (Status ready = waitFor(socket, POLLIN, deadline); !ready) return ready.error();
    size_t gotBytes = 0;
    if (fds) {
      Result<ReceivedMessage> message = receiveWithFds(socket, into);
      if (!message) return message.error();
      gotBytes = message->sizeBytes;
      for (UniqueFd& fd : message->fds) fds->push_back(std::move(fd));
    } else {
      const ssize_t got = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (got < 0) return errnoError("receive");
      gotBytes = static_cast<size_t>(got);
    }
    if (gotBytes == 0) return Error{"receive", "the connection was closed", ECONNRESET};
    into = into.subspan(gotBytes);
  }
  return success();
}

void setNonBlocking(int fd, bool nonBlocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

bool isUnix(int socket) {
  int domain = 0;
  socklen_t length = sizeof domain;
  return ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
}

void setNoDelay(int socket) {
  const int one = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void noticeSilentPeers(int socket) {
  const auto set = [&](int level, int name, int value) {
    ::setsockopt(socket, level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  // Decides also for the probes of keep-alive, whatever their number (tcp(7)).
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000);
}

}  // namespace vgpu::transport
