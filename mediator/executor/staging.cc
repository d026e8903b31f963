#include "mediator/executor/staging.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/check.h"

namespace vgpu::executor {

Staging::~Staging() {
  while (!all_.empty()) release(all_.back().get());
}

void Staging::release(StagingBlock* block) {
  if (!block->pinned) {
    std::free(block->data);
  } else if (!block->ownerEnded) {
    driver_.cuMemFreeHost(block->data);
  }
  usedBytes_ -= block->sizeBytes;
  std::erase_if(all_, [&](const auto& known) { return known.get() == block; });
}

void Staging::forget(const void* owner) {
  std::lock_guard lock(mutex_);
  for (auto& blocks : free_) {
    const auto ofOthers = std::partition(blocks.begin(), blocks.end(),
                                         [&](const StagingBlock* block) { return block->owner != owner; });
    std::for_each(ofOthers, blocks.end(), [&](StagingBlock* block) { release(block); });
    blocks.erase(ofOthers, blocks.end());
  }
  for (auto& block : all_) block->ownerEnded |= block->owner == owner;
}

std::vector<StagingBlock*>::iterator Staging::freeBlockOf(size_t sizeClass, const void* owner) {
  auto& blocks = free_[sizeClass];
  return std::find_if(blocks.begin(), blocks.end(),
                      [&](const StagingBlock* block) { return block->owner == owner; });
}

size_t Staging::classOf(size_t sizeBytes) {
  size_t sizeClass = 0;
  while (kClassBytes[sizeClass] < sizeBytes) ++sizeClass;
  return sizeClass;
}

StagingBlock* Staging::makeBlock(size_t sizeClass, const void* owner) {
  auto block = std::make_unique<StagingBlock>();
  block->sizeBytes = kClassBytes[sizeClass];
  block->sizeClass = sizeClass;
  block->owner = owner;
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

StagingBlock* Staging::take(size_t sizeBytes, const void* owner) {
  CHECK(sizeBytes <= kLargestBytes);
  const size_t sizeClass = classOf(sizeBytes);
  std::lock_guard lock(mutex_);
  if (auto found = freeBlockOf(sizeClass, owner); found != free_[sizeClass].end()) {
    StagingBlock* block = *found;
    free_[sizeClass].erase(found);
    return block;
  }
  if (usedBytes_ + kClassBytes[sizeClass] <= mostBytes_) {
    if (StagingBlock* block = makeBlock(sizeClass, owner)) return block;
  }
  refused_ = true;
  return nullptr;
}

bool Staging::mayHave(size_t sizeBytes, const void* owner) {
  const size_t sizeClass = classOf(sizeBytes);
  std::lock_guard lock(mutex_);
  const bool may = freeBlockOf(sizeClass, owner) != free_[sizeClass].end() ||
                   usedBytes_ + kClassBytes[sizeClass] <= mostBytes_;
  refused_ |= !may;
  return may;
}

bool Staging::giveBack(StagingBlock* block) {
  std::lock_guard lock(mutex_);
  if (block->ownerEnded) {
    release(block);
  } else {
    free_[block->sizeClass].push_back(block);
  }
  return std::exchange(refused_, false);
}

}  // namespace vgpu::executor
