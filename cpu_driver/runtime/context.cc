#include "cpu_driver/runtime/context.h"

#include <algorithm>

#include "cpu_driver/runtime/arena.h"
#include "cpu_driver/runtime/thread_state.h"
#include "cpu_driver/runtime/worker_pool.h"

namespace vgpu::cpu {
namespace {

uint64_t nextContextId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

// What a device of compute capability 9.0 reports before anything is set.
constexpr size_t kStackBytes = 1024;
constexpr size_t kPrintfBytes = size_t{1} << 20;
constexpr size_t kHeapBytes = size_t{8} << 20;
constexpr size_t kPendingLaunches = 2048;
constexpr size_t kMostStackBytes = size_t{512} << 10;
constexpr size_t kMostHeapBytes = size_t{1} << 34;

}  // namespace

Context::Context(WorkerPool& pool, unsigned flags, bool primary)
    : pool_(pool),
      id_(nextContextId()),
      primary_(primary),
      flags_(flags),
      legacy_(std::make_shared<Stream>(*this, StreamKind::Legacy, 0, 0)) {
  limits_[CU_LIMIT_STACK_SIZE] = kStackBytes;
  limits_[CU_LIMIT_PRINTF_FIFO_SIZE] = kPrintfBytes;
  limits_[CU_LIMIT_MALLOC_HEAP_SIZE] = kHeapBytes;
  limits_[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = kPendingLaunches;
  limits_[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
  streams_.push_back(legacy_);
}

Stream& Context::perThreadStream() { return threadState().perThreadStream(*this); }

void Context::add(std::shared_ptr<Stream> stream) {
  std::lock_guard lock(streamsMutex_);
  dropLeft();
  streams_.push_back(std::move(stream));
  streamCount_.store(streams_.size(), std::memory_order_release);
}

void Context::removeWhenIdle(std::shared_ptr<Stream> stream) {
  std::lock_guard lock(streamsMutex_);
  leaving_.push_back(std::move(stream));
  dropLeft();
}

// Under the lock.
void Context::dropLeft() {
  std::erase_if(leaving_, [this](const auto& stream) {
    if (!stream->isIdle()) return false;
    std::erase(streams_, stream);
    return true;
  });
  streamCount_.store(streams_.size(), std::memory_order_release);
}

void Context::remove(const Stream* stream) {
  std::lock_guard lock(streamsMutex_);
  std::erase_if(streams_, [&](const auto& other) { return other.get() == stream; });
  streamCount_.store(streams_.size(), std::memory_order_release);
}

void Context::synchronize() {
  std::vector<std::pair<std::shared_ptr<Stream>, uint64_t>> waits;
  {
    std::shared_lock lock(streamsMutex_);
    for (const auto& stream : streams_) {
      const uint64_t sequence = stream->submitted();
      if (!stream->isRetired(sequence)) waits.emplace_back(stream, sequence);
    }
  }
  for (const auto& [stream, sequence] : waits) stream->wait(sequence);
}

bool Context::isIdle() {
  std::shared_lock lock(streamsMutex_);
  return std::all_of(streams_.begin(), streams_.end(), [](const auto& stream) { return stream->isIdle(); });
}

void Context::fail(CUresult error) {
  CUresult none = CUDA_SUCCESS;
  failure_.compare_exchange_strong(none, error);
}

CUresult Context::surface() {
  const CUresult error = failure_.load(std::memory_order_acquire);
  if (error != CUDA_SUCCESS) surfaced_.store(error, std::memory_order_relaxed);
  return error;
}

CUresult Context::setLimit(CUlimit limit, size_t value) {
  switch (limit) {
    case CU_LIMIT_STACK_SIZE:
      if (value > kMostStackBytes) return CUDA_ERROR_INVALID_VALUE;
      break;
    case CU_LIMIT_MALLOC_HEAP_SIZE:
      if (heap_.used() || value > kMostHeapBytes) return CUDA_ERROR_INVALID_VALUE;
      value = roundUpToPage(std::max<size_t>(value, kPageBytes));
      break;
    case CU_LIMIT_PRINTF_FIFO_SIZE:
    case CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT:
      break;
    case CU_LIMIT_MAX_L2_FETCH_GRANULARITY:
      if (value > 128) return CUDA_ERROR_INVALID_VALUE;
      break;
    // Compute capability 9.0 has neither; the vendor's header says so for each.
    case CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH:
    case CU_LIMIT_PERSISTING_L2_CACHE_SIZE:
      return CUDA_ERROR_UNSUPPORTED_LIMIT;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  limits_[limit].store(value, std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

CUresult Context::limit(CUlimit limit, size_t* value) const {
  if (limit == CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH) return CUDA_ERROR_UNSUPPORTED_LIMIT;
  if (limit < 0 || limit >= CU_LIMIT_MAX) return CUDA_ERROR_INVALID_VALUE;
  *value = limits_[limit].load(std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

void Context::shutDown() {
  alive_.store(false, std::memory_order_release);
  synchronize();
  output_.deliver();
}

}  // namespace vgpu::cpu
