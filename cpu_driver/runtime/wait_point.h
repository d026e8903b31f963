// Where threads sleep until a condition that another thread publishes holds. Costs a publisher one load while
// nobody sleeps. Any thread. The condition's own variables must be written with seq_cst before notify(), and
// read so in it.
#pragma once

#include <atomic>
#include <cstdint>

namespace vgpu::cpu {

// One turn of a spinning loop.
inline void spinOnce() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class WaitPoint {
 public:
  void notify() {
    if (waiters_.load(std::memory_order_seq_cst) != 0) wake();
  }

  template <class Condition>
  void wait(Condition holds) {
    // About as long as waking a thread takes; more would steal the processor from the worker that is waited
    // for.
    for (int i = 0; i < kSpins; ++i) {
      if (holds()) return;
      spinOnce();
    }
    waiters_.fetch_add(1, std::memory_order_seq_cst);
    for (;;) {
      const uint32_t epoch = epoch_.load(std::memory_order_seq_cst);
      if (holds()) break;
      sleep(epoch);
    }
    waiters_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  static constexpr int kSpins = 500;

  void wake();
  void sleep(uint32_t epoch);

  std::atomic<uint32_t> epoch_{0};
  std::atomic<uint32_t> waiters_{0};
};

}  // namespace vgpu::cpu
