#include "transport/ring/doorbell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

namespace vgpu::transport {

void FutexDoorbell::sleep(uint32_t* word, uint32_t armed, std::chrono::nanoseconds timeout) {
  if (timeout <= std::chrono::nanoseconds::zero()) return;
  timespec limit{};
  timespec* limitPointer = nullptr;
  if (timeout != std::chrono::nanoseconds::max()) {
    limit.tv_sec = static_cast<time_t>(timeout.count() / 1'000'000'000);
    limit.tv_nsec = static_cast<long>(timeout.count() % 1'000'000'000);
    limitPointer = &limit;
  }
  const int before = errno;  // a guest program's errno is not ours to change
  ::syscall(SYS_futex, word, FUTEX_WAIT, armed, limitPointer, nullptr, 0);
  errno = before;
}

void FutexDoorbell::ring(uint32_t* word) {
  const int before = errno;
  ::syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  errno = before;
}

}  // namespace vgpu::transport
