#include "cpu_driver/runtime/wait_point.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace vgpu::cpu {

void WaitPoint::wake() {
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  ::syscall(SYS_futex, &epoch_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void WaitPoint::sleep(uint32_t epoch) {
  ::syscall(SYS_futex, &epoch_, FUTEX_WAIT_PRIVATE, epoch, nullptr, nullptr, 0);
}

}  // namespace vgpu::cpu
