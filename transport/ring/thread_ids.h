// ThreadIds: which guest threads have an id, and with it a mailbox. Guest process, any thread.
// Ids are given out lowest first, so that few lines of the mailboxes are ever used; beyond the limit there is
// none.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <queue>
#include <vector>

#include "base/check.h"

namespace vgpu::transport {

class ThreadIds {
 public:
  explicit ThreadIds(uint32_t limit) : limit_(limit) {}

  std::optional<uint16_t> take() {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      const uint16_t id = free_.top();
      free_.pop();
      return id;
    }
    if (next_ == limit_) return std::nullopt;
    return static_cast<uint16_t>(next_++);
  }
  void give(uint16_t id) {
    const std::lock_guard lock(mutex_);
    CHECK(id < next_);
    free_.push(id);
  }

 private:
  std::mutex mutex_;
  uint32_t limit_;
  uint32_t next_ = 0;
  std::priority_queue<uint16_t, std::vector<uint16_t>, std::greater<>> free_;
};

}  // namespace vgpu::transport
