// DeathNotice: ends a connection when this process ends, although a child that it made holds a copy of the
// socket. Guest process, for peers that cannot see a process of ours (TCP); elsewhere the peer has a pidfd.
// fork's handlers close the copies of children that the C library makes; this is for children of a bare
// system call, and for vfork.
//
// A process of its own waits for our end and then shuts the connection down, for all copies of the socket. It
// shares our memory (so it costs none) but no descriptors, blocks all signals, and is no child that wait()
// reports. It lives as long as this object. A question that the peer asks and we answer could not replace it:
// a program that a debugger or Ctrl-Z has stopped answers as little as a dead one.
#pragma once

#include <sys/types.h>

#include "base/mapping.h"
#include "base/unique_fd.h"

namespace vgpu::transport {

class DeathNotice {
 public:
  // The thread sanitizer does not bear a process that shares its memory.
#if defined(__x86_64__) && !__has_feature(thread_sanitizer)
  static constexpr bool kWatches = true;
#else
  static constexpr bool kWatches = false;
#endif

  // `socket` is borrowed. Where the kernel lacks what this takes, or refuses another process, nothing is
  // watched.
  explicit DeathNotice(int socket);
  ~DeathNotice();
  DeathNotice(const DeathNotice&) = delete;
  DeathNotice& operator=(const DeathNotice&) = delete;

  // In a forked child, whose end is nobody's business.
  void forgetAfterFork();

 private:
  UniqueFd here_;  // closed by exec, and by our end
  Mapping stack_;
  pid_t watcher_ = -1;
};

}  // namespace vgpu::transport
