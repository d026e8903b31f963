#include "transport/carrier/peer_watcher.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace vgpu::transport {

namespace {
constexpr int kTickMilliseconds = 1;
// While other threads read the socket this one would only wake up beside them; what comes after they stop is
// this late at most.
constexpr int kRestMilliseconds = 2;
constexpr int kUnkickedMilliseconds = 20;
}  // namespace

PeerWatcher::PeerWatcher(int socket, UniqueFd peerProcess, std::string peerName, Callbacks callbacks)
    : socket_(socket),
      peerProcess_(std::move(peerProcess)),
      kick_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      peerName_(std::move(peerName)),
      callbacks_(std::move(callbacks)) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

PeerWatcher::~PeerWatcher() { stop(); }

void PeerWatcher::kick() {
  const uint64_t one = 1;
  // Only a full counter can fail, and then the thread is awake anyway.
  [[maybe_unused]] const ssize_t written = ::write(kick_.get(), &one, sizeof one);
}

void PeerWatcher::tickSoon() {
  if (!ticking_.exchange(true)) kick();
}

void PeerWatcher::writeSoon() {
  if (!writing_.exchange(true)) kick();
}

void PeerWatcher::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  kick();
  thread_.join();
}

void PeerWatcher::forgetAfterFork() {
  // The handle names a thread that this process does not have: it can be neither joined nor destroyed.
  new std::thread(std::move(thread_));
  peerProcess_.reset();
  kick_.reset();
}

short PeerWatcher::wantedEvents() const {
  short events = callbacks_.onReadable ? POLLIN | POLLRDHUP : 0;
  if (writing_.load()) events |= POLLOUT;
  return events;
}

// A reason when the peer is gone.
std::string PeerWatcher::lookAtSocket(short events, bool& rest) {
  if ((events & POLLOUT) && writing_.exchange(false) && callbacks_.onWritable()) writing_.store(true);
  if ((events & ~POLLOUT) == 0) return {};
  Readable result;
  if (callbacks_.onReadable) result = callbacks_.onReadable();
  rest = result.rest;
  if (result.gone.empty() && !rest && (events & (POLLERR | POLLHUP)))
    return peerName_ + " closed the connection";
  return result.gone;
}

void PeerWatcher::run() {
  pthread_setname_np(pthread_self(), "vgpu-channel");
  std::array<pollfd, 3> fds = {pollfd{kick_.get(), POLLIN, 0}, pollfd{-1, 0, 0},
                               pollfd{peerProcess_.get(), POLLIN, 0}};
  bool lost = false;
  bool rest = false;
  // Without an eventfd (the process is out of descriptors) nobody can wake this thread: it looks now and
  // then.
  const int idle = kick_.valid() ? -1 : kUnkickedMilliseconds;
  while (!stopping_.load()) {
    // Without a peer only stop() is left to wait for: poll ignores negative descriptors.
    fds[1] = pollfd{lost || rest ? -1 : socket_, wantedEvents(), 0};
    if (lost) fds[2].fd = -1;
    const bool ticking = !lost && ticking_.load();
    const int timeout = ticking ? kTickMilliseconds : rest ? kRestMilliseconds : idle;
    if (::poll(fds.data(), fds.size(), timeout) < 0 && errno != EINTR) return;
    if (fds[0].revents) {
      uint64_t count;
      [[maybe_unused]] const ssize_t got = ::read(kick_.get(), &count, sizeof count);
    }
    if (stopping_.load()) return;
    if (ticking && ticking_.exchange(false) && callbacks_.onTick()) ticking_.store(true);
    rest = false;
    if (lost) continue;
    const std::string reason = fds[2].revents ? peerName_ + " ended" : lookAtSocket(fds[1].revents, rest);
    if (reason.empty()) continue;
    lost = true;
    callbacks_.onLost(reason);
  }
}

UniqueFd peerProcessOf(int socket) {
  int fd = -1;
  socklen_t length = sizeof fd;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0) return UniqueFd(fd);
  ucred credentials{};
  length = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 || credentials.pid <= 0)
    return UniqueFd();
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, credentials.pid, 0)));
}

}  // namespace vgpu::transport
