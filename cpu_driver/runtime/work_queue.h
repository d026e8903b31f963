// The queue of one stream: producers (under the stream's lock) build work in place, one consumer at a time
// runs it. Producer and consumer do not exclude each other; segments are reused, so a steady stream allocates
// nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "cpu_driver/runtime/work.h"

namespace vgpu::cpu {

class WorkQueue {
 public:
  WorkQueue() : head_(new Segment), tail_(head_) {}
  ~WorkQueue() {
    while (Segment* segment = head_) {
      head_ = segment->next;
      delete segment;
    }
    delete spare_.load();
  }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Producers. The item becomes visible when the stream publishes its sequence number.
  template <class W, class... Arguments>
  void emplace(Arguments&&... arguments) {
    static_assert(sizeof(W) <= kWorkBytes && alignof(W) <= 64);
    if (produced_ == kItems) {
      Segment* segment = spare_.exchange(nullptr, std::memory_order_acquire);
      if (!segment) segment = new Segment;
      segment->next = nullptr;
      tail_->next = segment;
      tail_ = segment;
      produced_ = 0;
    }
    ::new (tail_->items[produced_].bytes) W(std::forward<Arguments>(arguments)...);
    ++produced_;
  }

  // The consumer, for an item that was published.
  Work& front() {
    if (consumed_ == kItems) {
      Segment* segment = head_;
      head_ = segment->next;
      consumed_ = 0;
      delete spare_.exchange(segment, std::memory_order_release);
    }
    return *std::launder(reinterpret_cast<Work*>(head_->items[consumed_].bytes));
  }
  void pop() {
    front().~Work();
    ++consumed_;
  }

 private:
  static constexpr size_t kItems = 64;
  struct Item {
    alignas(64) std::byte bytes[kWorkBytes];
  };
  struct Segment {
    std::array<Item, kItems> items;
    Segment* next = nullptr;
  };

  Segment* head_;
  size_t consumed_ = 0;
  alignas(64) Segment* tail_;
  size_t produced_ = 0;
  alignas(64) std::atomic<Segment*> spare_{nullptr};
};

}  // namespace vgpu::cpu
