// Staging: page-locked memory where uploaded bytes wait for their stream, so that the guest's window slot is
// free at once. take() from the dispatcher, with a context current; giveBack() from any thread. Blocks are
// kept for reuse and bounded together. Their bytes are the guest's data and are only copied.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "mediator/executor/driver.h"

namespace vgpu::executor {

struct StagingBlock {
  std::byte* data = nullptr;
  size_t sizeBytes = 0;
  size_t sizeClass = 0;
  bool pinned = false;
  const void* owner =
      nullptr;  // the context that was current when it was made; page-locked memory ends with it
  bool ownerEnded = false;
};

class Staging {
 public:
  Staging(const Driver& driver, uint64_t mostBytes) : driver_(driver), mostBytes_(mostBytes) {}
  ~Staging();

  // A block of at least `sizeBytes` (at most kLargestBytes) for work of the context `owner`, which is
  // current; nullptr while all that may be had is in use.
  StagingBlock* take(size_t sizeBytes, const void* owner);
  // The context is about to end, and its blocks with it.
  void forget(const void* owner);
  // True when somebody was refused a block since the last time.
  bool giveBack(StagingBlock* block);
  bool mayHave(size_t sizeBytes, const void* owner);

  static constexpr std::array<size_t, 4> kClassBytes = {4096, 64 * 1024, 256 * 1024, 4 * 1024 * 1024};
  static constexpr size_t kLargestBytes = kClassBytes.back();

 private:
  static size_t classOf(size_t sizeBytes);
  StagingBlock* makeBlock(size_t sizeClass, const void* owner);
  std::vector<StagingBlock*>::iterator freeBlockOf(size_t sizeClass, const void* owner);
  void release(StagingBlock* block);

  const Driver& driver_;
  const uint64_t mostBytes_;
  std::mutex mutex_;
  std::array<std::vector<StagingBlock*>, kClassBytes.size()> free_;
  std::vector<std::unique_ptr<StagingBlock>> all_;
  uint64_t usedBytes_ = 0;
  bool refused_ = false;
};

}  // namespace vgpu::executor
