// WaitList: the threads that wait for something which a frame brings. Guest process, any thread. Whoever
// reads the socket wakes those whose condition has become true; whoever stops reading wakes one that may read
// on, so that there is always a reader while somebody waits.
#pragma once

#include <atomic>
#include <mutex>

#include "transport/ring/doorbell.h"

namespace vgpu::transport {

class WaitList {
 public:
  struct Waiter {
    bool (*ready)(void* context) = nullptr;
    void* context = nullptr;
    bool mayRead = true;
    uint32_t word = 0;  // armed while its thread sleeps
    Waiter* next = nullptr;
    Waiter** link = nullptr;
  };

  void add(Waiter& waiter) {
    const std::lock_guard lock(mutex_);
    waiter.next = first_;
    waiter.link = &first_;
    if (first_) first_->link = &waiter.next;
    first_ = &waiter;
    count_.fetch_add(1, std::memory_order_seq_cst);
  }
  void remove(Waiter& waiter) {
    const std::lock_guard lock(mutex_);
    *waiter.link = waiter.next;
    if (waiter.next) waiter.next->link = waiter.link;
    count_.fetch_sub(1, std::memory_order_seq_cst);
  }
  void wakeReady() {
    forEach([&](Waiter& waiter) {
      if (waiter.ready(waiter.context)) doorbell_.wakeIfArmed(&waiter.word);
      return true;
    });
  }
  void wakeReader() {
    forEach([&](Waiter& waiter) {
      if (!waiter.mayRead) return true;
      doorbell_.wakeIfArmed(&waiter.word);
      return false;
    });
  }
  void wakeAll() {
    forEach([&](Waiter& waiter) {
      doorbell_.wakeIfArmed(&waiter.word);
      return true;
    });
  }
  void sleep(Waiter& waiter, std::chrono::nanoseconds timeout) { doorbell_.sleep(&waiter.word, 1, timeout); }

 private:
  template <class Visit>
  void forEach(Visit&& visit) {
    fullFence();  // what was changed before must be seen by a waiter that adds itself after this look
    if (count_.load(std::memory_order_seq_cst) == 0) return;
    const std::lock_guard lock(mutex_);
    for (Waiter* one = first_; one && visit(*one); one = one->next) {
    }
  }

  FutexDoorbell doorbell_;
  std::mutex mutex_;
  Waiter* first_ = nullptr;
  std::atomic<int> count_{0};
};

}  // namespace vgpu::transport
