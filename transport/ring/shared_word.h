// Words of memory that two processes share: every access says how it is ordered. Both processes, any thread.
// A value read from here is whatever the peer wrote last, and untrusted.
#pragma once

#include <atomic>
#include <cstdint>

namespace vgpu::transport {

template <class T>
T loadAcquire(const T* word) {
  return std::atomic_ref<T>(*const_cast<T*>(word)).load(std::memory_order_acquire);
}
template <class T>
T loadRelaxed(const T* word) {
  return std::atomic_ref<T>(*const_cast<T*>(word)).load(std::memory_order_relaxed);
}
template <class T>
void storeRelease(T* word, T value) {
  std::atomic_ref<T>(*word).store(value, std::memory_order_release);
}
template <class T>
void storeRelaxed(T* word, T value) {
  std::atomic_ref<T>(*word).store(value, std::memory_order_relaxed);
}

// Orders our earlier stores before our later loads. A locked instruction on our own stack: on every processor
// seen it is cheaper than mfence, and it touches no shared line.
inline void fullFence() {
#if defined(__x86_64__)
  __asm__ __volatile__("lock; orl $0, -64(%%rsp)" ::: "memory", "cc");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

inline void pauseBriefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace vgpu::transport
