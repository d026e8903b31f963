// PeerWatcher: the one thread of its own that a channel has, in either process. It sleeps in poll until the
// peer dies, the socket has something, or a tick was asked for. Signals never run on it. Death is noticed by
// the peer's pidfd where there is one, since a forked child that keeps the socket open hides an end of file,
// and by end of file otherwise.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "base/unique_fd.h"

namespace vgpu::transport {

class PeerWatcher {
 public:
  struct Readable {
    std::string gone;   // a reason when the peer is gone
    bool rest = false;  // look away from the socket for a moment: other threads are reading it
  };
  struct Callbacks {
    // The socket is readable or was closed. None: somebody else reads it, and only its end is looked for.
    std::function<Readable()> onReadable;
    // After writeSoon(), once there is room; true while there is more to write.
    std::function<bool()> onWritable;
    std::function<void(const std::string& reason)> onLost;
    // A millisecond after tickSoon(); true for another one.
    std::function<bool()> onTick;
  };

  // `socket` is borrowed; `peerProcess` a pidfd, or invalid.
  PeerWatcher(int socket, UniqueFd peerProcess, std::string peerName, Callbacks callbacks);
  ~PeerWatcher();

  void tickSoon();
  void writeSoon();
  void stop();
  // In a forked child, where the thread does not exist.
  void forgetAfterFork();

 private:
  void run();
  void kick();
  short wantedEvents() const;
  std::string lookAtSocket(short events, bool& rest);

  int socket_;
  UniqueFd peerProcess_;
  UniqueFd kick_;
  std::string peerName_;
  Callbacks callbacks_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ticking_{false};
  std::atomic<bool> writing_{false};
  std::thread thread_;
};

// A pidfd of the process at the other end of a unix socket, as the kernel says; invalid where it does not.
UniqueFd peerProcessOf(int socket);

}  // namespace vgpu::transport
