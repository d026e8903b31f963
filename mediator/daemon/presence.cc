#include "mediator/daemon/presence.h"

#include <sys/socket.h>
#include <unistd.h>

#include "mediator/daemon/peer.h"
#include "mediator/daemon/version.h"
#include "transport/carrier/endpoint.h"

namespace vgpu::daemon {
namespace {

// Bounds the descriptors that other processes of the same user can make us hold.
constexpr size_t kMostHolders = 1024;

}  // namespace

Status Presence::listen(const std::string& path, unsigned mode, bool hold) {
  transport::Endpoint endpoint;
  endpoint.family = transport::Endpoint::Family::Unix;
  endpoint.path = path;
  Result<UniqueFd> listener = transport::listenOn(endpoint, mode);
  if (!listener) return listener.error();
  listener_ = std::move(*listener);
  path_ = path;
  holds_ = hold;
  return loop_.watch(listener_.get(), [this] { accept(); });
}

void Presence::accept() {
  UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) return;
  if (holds_) {
    Peer peer = identifyUnixPeer(socket.get());
    if (!peer.pidfd.valid() || holders_.size() >= kMostHolders) return;  // closed without a line: not counted
    hold(std::move(peer.pidfd));
  }
  const std::string line = std::string("vgpu-mediator ") + kVersion + "\n";
  (void)::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL);
}

void Presence::hold(UniqueFd pidfd) {
  const int fd = pidfd.get();
  const Status watched = loop_.watch(fd, [this, fd] {
    loop_.forget(fd);
    holders_.erase(fd);
    changed_();
  });
  if (!watched) return;
  holders_.emplace(fd, std::move(pidfd));
  changed_();
}

void Presence::stop() {
  if (listener_.valid()) {
    ::unlink(path_.c_str());  // before closing: afterwards the name may be a successor's
    loop_.forget(listener_.get());
    listener_.reset();
  }
  for (auto& [fd, pidfd] : holders_) loop_.forget(fd);
  holders_.clear();
}

}  // namespace vgpu::daemon
