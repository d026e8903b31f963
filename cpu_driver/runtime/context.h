// A context: what a program's CUDA state hangs on. Its streams, its limits, and the error that ended it.
// Any thread. Owned by the driver's table; the shell of a destroyed context stays, because work in flight
// refers to it.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "cpu_driver/runtime/device_heap.h"
#include "cpu_driver/runtime/output.h"
#include "cpu_driver/runtime/stream.h"
#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

class WorkerPool;

class Context {
 public:
  Context(WorkerPool& pool, unsigned flags, bool primary);

  WorkerPool& pool() const { return pool_; }
  CUcontext handle() const { return handle_; }
  void setHandle(CUcontext handle) { handle_ = handle; }
  uint64_t id() const { return id_; }
  bool primary() const { return primary_; }
  unsigned flags() const { return flags_.load(std::memory_order_relaxed); }
  void setFlags(unsigned flags) { flags_.store(flags, std::memory_order_relaxed); }

  Stream& legacyStream() { return *legacy_; }
  // The calling thread's own default stream, made when first asked for.
  Stream& perThreadStream();
  void add(std::shared_ptr<Stream> stream);
  void remove(const Stream* stream);
  // A destroyed stream's work goes on, and others order against it until it is over.
  void removeWhenIdle(std::shared_ptr<Stream> stream);
  template <class Function>
  void forEachBlockingStream(Function function) {
    std::shared_lock lock(streamsMutex_);
    for (const auto& stream : streams_)
      if (stream->kind() != StreamKind::Legacy && stream->blocking()) function(*stream);
  }
  // Whether all streams that the legacy stream is ordered against are idle.
  bool blockingStreamsIdle() {
    if (streamCount_.load(std::memory_order_acquire) == 1) return true;  // the legacy stream alone
    bool idle = true;
    forEachBlockingStream([&](const Stream& stream) { idle = idle && stream.isIdle(); });
    return idle;
  }
  // Returns when all that was submitted is over.
  void synchronize();
  bool isIdle();

  // The first asynchronous failure stays until the context ends. It shows first in a call that waits or
  // launches (surface), from then on in every call (surfaced).
  void fail(CUresult error);
  bool hasFailed() const { return failure_.load(std::memory_order_relaxed) != CUDA_SUCCESS; }
  CUresult surface();
  CUresult surfaced() const { return surfaced_.load(std::memory_order_relaxed); }

  CUresult setLimit(CUlimit limit, size_t value);
  CUresult limit(CUlimit limit, size_t* value) const;
  std::atomic<int> cacheConfig{CU_FUNC_CACHE_PREFER_NONE};
  std::atomic<int> sharedConfig{CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE};

  Output& output() { return output_; }
  DeviceHeap& heap() { return heap_; }
  bool alive() const { return alive_.load(std::memory_order_acquire); }
  // Ends all streams; afterwards the context answers CUDA_ERROR_CONTEXT_IS_DESTROYED.
  void shutDown();

 private:
  static constexpr size_t kLimits = 16;
  void dropLeft();

  WorkerPool& pool_;
  CUcontext handle_ = nullptr;
  const uint64_t id_;
  const bool primary_;
  std::atomic<unsigned> flags_;
  std::atomic<bool> alive_{true};
  std::atomic<CUresult> failure_{CUDA_SUCCESS};
  std::atomic<CUresult> surfaced_{CUDA_SUCCESS};
  std::array<std::atomic<size_t>, kLimits> limits_{};
  std::shared_ptr<Stream> legacy_;
  mutable std::shared_mutex streamsMutex_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::atomic<size_t> streamCount_{1};            // of streams_, the legacy stream among them
  std::vector<std::shared_ptr<Stream>> leaving_;  // among streams_
  Output output_;
  DeviceHeap heap_;
};

}  // namespace vgpu::cpu
