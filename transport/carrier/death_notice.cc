#include "transport/carrier/death_notice.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vgpu::transport {

namespace {

#if defined(__x86_64__) && !__has_feature(thread_sanitizer)

constexpr size_t kStackBytes = 16 * 1024;

// What the watcher needs, at the top of its stack.
struct Watched {
  int process;  // a pidfd of ours
  int here;     // the reading end of a pipe that only we write to
  int socket;
  std::array<int, 3> sorted;
};

// The C library's functions would write to the errno of the thread whose memory this process shares.
long rawCall(long number, long a, long b, long c) {
  long result;
  __asm__ __volatile__("syscall"
                       : "=a"(result)
                       : "a"(number), "D"(a), "S"(b), "d"(c)
                       : "rcx", "r11", "memory");
  return result;
}

// Every other descriptor belongs to the program, whose pipes must end when it closes them.
bool closeAllBut(const std::array<int, 3>& kept) {
  long first = 0;
  for (const int fd : kept) {
    if (fd > first && rawCall(SYS_close_range, first, fd - 1L, 0) != 0) return false;
    first = fd + 1L;
  }
  return rawCall(SYS_close_range, first, ~0U, 0) == 0;
}

__attribute__((no_sanitize("address", "undefined"))) int watch(void* argument) {
  const auto& watched = *static_cast<const Watched*>(argument);
  if (!closeAllBut(watched.sorted)) return 1;
  for (;;) {
    pollfd fds[2] = {{watched.process, POLLIN, 0}, {watched.here, POLLIN, 0}};
    const long ready = rawCall(SYS_poll, reinterpret_cast<long>(fds), 2, -1);
    if (ready == -EINTR) continue;
    rawCall(SYS_shutdown, watched.socket, SHUT_RDWR, 0);
    return 0;
  }
}

pid_t startWatcher(Mapping& stack, Watched watched) {
  watched.sorted = {watched.process, watched.here, watched.socket};
  std::sort(watched.sorted.begin(), watched.sorted.end());
  auto* argument = reinterpret_cast<Watched*>(stack.data() + stack.sizeBytes()) - 1;
  *argument = watched;
  void* top = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(argument) & ~uintptr_t{63});
  // No handler of the program may run there: signals stay blocked in the watcher as they are here now.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  // Without an exit signal: wait() and waitpid() do not see it (wait(2), __WCLONE).
  const pid_t watcher = ::clone(&watch, top, CLONE_VM | CLONE_UNTRACED, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return watcher;
}

#endif

}  // namespace

DeathNotice::DeathNotice(int socket) {
#if defined(__x86_64__) && !__has_feature(thread_sanitizer)
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  int ends[2];
  if (!process.valid() || ::pipe2(ends, O_CLOEXEC) != 0) return;
  const UniqueFd reading(ends[0]);
  here_ = UniqueFd(ends[1]);
  void* memory = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  stack_ = Mapping(memory, kStackBytes);
  watcher_ = startWatcher(stack_, {process.get(), reading.get(), socket, {}});
#else
  (void)socket;
#endif
}

DeathNotice::~DeathNotice() {
  here_.reset();
  if (watcher_ <= 0) return;
  while (::waitpid(watcher_, nullptr, static_cast<int>(__WCLONE)) < 0 && errno == EINTR) {
  }
}

void DeathNotice::forgetAfterFork() {
  here_.reset();
  watcher_ = -1;
}

}  // namespace vgpu::transport
