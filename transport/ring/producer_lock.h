// ProducerLock: orders the threads of one process that post records. Private memory of the guest.
// One locked instruction when nobody else posts, and a plain store to unlock: a mutex that knows of its
// sleepers needs a second one. Held for tens of nanoseconds, so waiters spin, then yield, then nap: a
// preempted holder gets its processor back.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <ctime>

#include "transport/ring/shared_word.h"

namespace vgpu::transport {

class ProducerLock {
 public:
  void lock() {
    if (__builtin_expect(held_.exchange(1, std::memory_order_acquire) != 0, 0)) lockContended();
  }
  void unlock() { held_.store(0, std::memory_order_release); }

 private:
  void lockContended() {
    constexpr int kPauses = 64;
    constexpr int kYields = 64;
    for (int round = 0;; ++round) {
      for (int i = 0; i < kPauses; ++i) {
        if (held_.load(std::memory_order_relaxed) == 0 && held_.exchange(1, std::memory_order_acquire) == 0)
          return;
        pauseBriefly();
      }
      if (round < kYields) {
        sched_yield();
      } else {
        // The holder may have a lower priority than we: yielding to it for ever could starve it.
        const timespec nap{0, 50'000};
        nanosleep(&nap, nullptr);
      }
    }
  }

  alignas(128) std::atomic<uint32_t> held_{0};
};

}  // namespace vgpu::transport
