#include "mediator/executor/staging.h"

#include <cstdlib>

#include "base/check.h"

namespace vgpu::executor {

Staging::~Staging() {
  for (auto& block : all_) {
    if (block->pinned) {
      driver_.cuMemFreeHost(block->data);
    } else {
      std::free(block->data);
    }
  }
}

size_t Staging::classOf(size_t sizeBytes) {
  size_t sizeClass = 0;
  while (kClassBytes[sizeClass] < sizeBytes) ++sizeClass;
  return sizeClass;
}

StagingBlock* Staging::makeBlock(size_t sizeClass) {
  auto block = std::make_unique<StagingBlock>();
  block->sizeBytes = kClassBytes[sizeClass];
  block->sizeClass = sizeClass;
  void* memory = nullptr;
  if (driver_.cuMemHostAlloc && driver_.cuMemFreeHost) {
    block->pinned =
        driver_.cuMemHostAlloc(&memory, block->sizeBytes, CU_MEMHOSTALLOC_PORTABLE) == CUDA_SUCCESS;
  }
  if (!block->pinned) memory = std::malloc(block->sizeBytes);
  if (!memory) return nullptr;
  block->data = static_cast<std::byte*>(memory);
  usedBytes_ += block->sizeBytes;
  all_.push_back(std::move(block));
  return all_.back().get();
}

StagingBlock* Staging::take(size_t sizeBytes) {
  CHECK(sizeBytes <= kLargestBytes);
  const size_t sizeClass = classOf(sizeBytes);
  std::lock_guard lock(mutex_);
  if (!free_[sizeClass].empty()) {
    StagingBlock* block = free_[sizeClass].back();
    free_[sizeClass].pop_back();
    return block;
  }
  if (usedBytes_ + kClassBytes[sizeClass] <= mostBytes_) {
    if (StagingBlock* block = makeBlock(sizeClass)) return block;
  }
  refused_ = true;
  return nullptr;
}

bool Staging::mayHave(size_t sizeBytes) {
  const size_t sizeClass = classOf(sizeBytes);
  std::lock_guard lock(mutex_);
  const bool may = !free_[sizeClass].empty() || usedBytes_ + kClassBytes[sizeClass] <= mostBytes_;
  refused_ |= !may;
  return may;
}

bool Staging::giveBack(StagingBlock* block) {
  std::lock_guard lock(mutex_);
  free_[block->sizeClass].push_back(block);
  return std::exchange(refused_, false);
}

}  // namespace vgpu::executor
