// One resident block whose threads are fibers: its run queue, barriers and warps. Used by one worker thread
// alone; all methods but run() are called on the stack of one of its threads. Memory is the runner's, reused
// from block to block. Every thread makes progress by itself: a waiting thread costs nothing, a spinning one
// yields to all others.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cpu_driver/kernel/abi.h"
#include "cpu_driver/kernel/fiber.h"
#include "cpu_driver/kernel/warp_operations.h"

namespace vgpu::kernel {

using ThreadEntry = void (*)(ThreadContext*);

struct FiberThread {
  ThreadContext context;  // first: generated code's pointer to it is a pointer to the thread
  FiberPoint point;
  FiberThread* next = nullptr;
  class FiberBlock* block = nullptr;
  WarpRequest request;
  const void* callSite = nullptr;  // of activemask
  uint64_t result = 0;
  bool barrierPredicate = false;
};

class FiberBlock {
 public:
  enum class Progress { Finished, Yielded, Deadlock, NoStack };

  // `entry` for every thread of `launch.block`; shared memory and index are set in context().
  void begin(LaunchContext& launch, ThreadEntry entry, FiberStackPool& stacks);
  BlockContext& context() { return context_; }
  // On the worker's stack: runs threads until the block is done or all runnable ones have yielded.
  Progress run();
  // Threads and stacks are forgotten where they are.
  void abandon() { live_ = 0; }

  static FiberBlock& of(ThreadContext* thread) { return *reinterpret_cast<FiberThread*>(thread)->block; }
  void barrier(ThreadContext* thread, uint32_t id, uint32_t count, bool wait);
  uint32_t barrierReduce(ThreadContext* thread, uint32_t operation, uint32_t id, uint32_t count,
                         bool predicate);
  uint64_t warpOperation(ThreadContext* thread, const WarpRequest& request);
  uint32_t activeMask(ThreadContext* thread, const void* callSite);
  void yield(ThreadContext* thread);
  [[noreturn]] void exit(ThreadContext* thread);

 private:
  struct Queue {
    FiberThread *head = nullptr, *tail = nullptr;
    uint32_t size = 0;
    void push(FiberThread* thread);
    FiberThread* pop();
  };
  struct Barrier {
    uint32_t expected = 0;  // 0: all threads
    uint32_t arrived = 0;
    uint32_t popc = 0, reduced = 0;
    bool used = false;
    std::array<uint32_t, kMaxBlockThreads / kWarpSize> arrivedLanes{};
    Queue waiting;
  };
  struct Warp {
    uint32_t exists = 0, exited = 0;
    uint32_t waiting = 0;       // in a warp operation
    uint32_t atBarrier = 0;     // blocked at a barrier of the block
    uint32_t atActiveMask = 0;  // wants to know who comes along
  };

  static void threadBody(void* thread);
  [[noreturn]] void runOn(FiberThread* thread);
  void finish(FiberThread* thread);
  void suspend(FiberThread* thread);
  void leaveFor(FiberThread* from, FiberThread* next);
  FiberThread* takeRunnable();
  FiberThread* takeUnstarted();
  void arrive(FiberThread* thread, Barrier& barrier, uint32_t count);
  bool complete(const Barrier& barrier) const;
  void release(Barrier& barrier);
  void releaseAllComplete();
  void meet(Warp& warp, uint32_t warpIndex);
  void settleActiveMask(Warp& warp, uint32_t warpIndex);
  Warp& warpOf(const FiberThread* thread) { return warps_[thread->context.warp]; }
  FiberThread* lane(uint32_t warp, uint32_t lane) { return &threads_[warp * kWarpSize + lane]; }

  BlockContext context_;
  ThreadEntry entry_ = nullptr;
  FiberStackPool* stacks_ = nullptr;
  std::vector<FiberThread> threads_;
  std::vector<Warp> warps_;
  std::array<Barrier, kMaxBarriers> barriers_;
  Queue runnable_;
  FiberPoint scheduler_;
  uint32_t started_ = 0, live_ = 0, exited_ = 0, count_ = 0;
  uint32_t yields_ = 0, barriersInUse_ = 0;
  bool yielded_ = false, noStack_ = false;
};

}  // namespace vgpu::kernel
