#include "mediator/daemon/peer.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vgpu::daemon {
namespace {

constexpr int kPeerPidfd = 77;  // SO_PEERPIDFD, Linux 6.5; Debian 12's headers do not have it

UniqueFd pidfdOf(int socket, pid_t process) {
  int pidfd = -1;
  socklen_t length = sizeof pidfd;
  if (::getsockopt(socket, SOL_SOCKET, kPeerPidfd, &pidfd, &length) == 0) return UniqueFd(pidfd);
  // Without it the process may have ended and its number been taken again since it connected. Harmless here:
  // we only watch, and its socket is closed then as well.
  return process > 0 ? UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0))) : UniqueFd();
}

}  // namespace

Peer identifyUnixPeer(int socket) {
  struct ucred credentials{};
  socklen_t length = sizeof credentials;
  Peer peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
    peer.uid = credentials.uid;
    peer.process = credentials.pid;
  } else {
    peer.uid = ~0U;
  }
  peer.pidfd = pidfdOf(socket, peer.process);
  peer.tenant = "uid-" + std::to_string(peer.uid);
  return peer;
}

Peer identifyTcpPeer() {
  Peer peer;
  peer.uid = ~0U;
  peer.tenant = "tcp";
  return peer;
}

}  // namespace vgpu::daemon
