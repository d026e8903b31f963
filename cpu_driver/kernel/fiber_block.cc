#include "cpu_driver/kernel/fiber_block.h"

#include <bit>

namespace vgpu::kernel {

void FiberBlock::Queue::push(FiberThread* thread) {
  thread->next = nullptr;
  (tail ? tail->next : head) = thread;
  tail = thread;
  ++size;
}

FiberThread* FiberBlock::Queue::pop() {
  FiberThread* thread = head;
  if (!thread) return nullptr;
  head = thread->next;
  if (!head) tail = nullptr;
  --size;
  return thread;
}

void FiberBlock::begin(LaunchContext& launch, ThreadEntry entry, FiberStackPool& stacks) {
  entry_ = entry;
  stacks_ = &stacks;
  context_.launch = &launch;
  count_ = static_cast<uint32_t>(launch.block.count());
  if (threads_.size() < count_) threads_ = std::vector<FiberThread>(count_);
  warps_.assign((count_ + kWarpSize - 1) / kWarpSize, Warp{});
  for (uint32_t i = 0; i < count_; ++i) {
    FiberThread& thread = threads_[i];
    thread.block = this;
    thread.context.block = &context_;
    thread.context.launch = &launch;
    thread.context.linear = i;
    thread.context.lane = i % kWarpSize;
    thread.context.warp = i / kWarpSize;
    thread.context.index = {i % launch.block.x, i / launch.block.x % launch.block.y,
                            i / launch.block.x / launch.block.y};
    warps_[i / kWarpSize].exists |= 1u << i % kWarpSize;
  }
  if (barriersInUse_ != 0) barriers_ = {};
  barriersInUse_ = 0;
  runnable_ = {};
  scheduler_ = workerPoint();
  started_ = exited_ = yields_ = 0;
  live_ = count_;
  yielded_ = noStack_ = false;
}

FiberBlock::Progress FiberBlock::run() {
  yielded_ = false;
  yields_ = 0;
  FiberThread* next = takeRunnable();
  if (!next) next = takeUnstarted();
  if (next) leaveFor(nullptr, next);
  if (noStack_) return Progress::NoStack;
  if (live_ == 0) return Progress::Finished;
  return yielded_ ? Progress::Yielded : Progress::Deadlock;
}

FiberThread* FiberBlock::takeRunnable() { return runnable_.pop(); }

FiberThread* FiberBlock::takeUnstarted() {
  if (started_ == count_) return nullptr;
  FiberThread* thread = &threads_[started_++];
  thread->point.stack = {};
  return thread;
}

// `from` null: the scheduler; `next` null: to the scheduler.
void FiberBlock::leaveFor(FiberThread* from, FiberThread* next) {
  FiberPoint& here = from ? from->point : scheduler_;
  if (!next) return switchFiber(here, scheduler_);
  if (next->point.stack.begin) return switchFiber(here, next->point);
  next->point.stack = stacks_->take();
  if (!next->point.stack.begin) {
    noStack_ = true;
    if (from) switchFiber(here, scheduler_);
    return;
  }
  startFiber(here, next->point.stack, threadBody, next);
}

void FiberBlock::threadBody(void* argument) {
  fiberStarted();
  auto* thread = static_cast<FiberThread*>(argument);
  thread->block->runOn(thread);
}

// A stack runs thread after thread, as long as there are some that have not started: without barriers one is
// enough.
void FiberBlock::runOn(FiberThread* thread) {
  for (;;) {
    thread->context.stackBegin = thread->point.stack.begin;
    thread->context.stackEnd = thread->point.stack.end;
    entry_(&thread->context);
    const FiberStack stack = thread->point.stack;
    finish(thread);
    FiberThread* next = takeRunnable();
    FiberThread* fresh = next ? nullptr : takeUnstarted();
    if (fresh) {
      fresh->point.stack = stack;
      thread = fresh;
      continue;
    }
    stacks_->give(stack);  // nobody takes it before this flow has left it
    leaveFor(thread, next);
  }
}

void FiberBlock::exit(ThreadContext* context) {
  auto* thread = reinterpret_cast<FiberThread*>(context);
  const FiberStack stack = thread->point.stack;
  finish(thread);
  FiberThread* next = takeRunnable();
  FiberThread* fresh = next ? nullptr : takeUnstarted();
  if (fresh) {
    fresh->point.stack = stack;
    restartFiber(
        stack,
        [](void* argument) {
          auto* started = static_cast<FiberThread*>(argument);
          started->block->runOn(started);
        },
        fresh);
  }
  stacks_->give(stack);
  leaveFor(thread, next);
  __builtin_unreachable();
}

void FiberBlock::finish(FiberThread* thread) {
  --live_;
  ++exited_;
  Warp& warp = warpOf(thread);
  warp.exited |= 1u << thread->context.lane;
  if (warp.waiting != 0) meet(warp, thread->context.warp);
  if (warp.atActiveMask != 0) settleActiveMask(warp, thread->context.warp);
  if (barriersInUse_ != 0) releaseAllComplete();
}

void FiberBlock::suspend(FiberThread* thread) {
  Warp& warp = warpOf(thread);
  if (warp.atActiveMask != 0) settleActiveMask(warp, thread->context.warp);
  FiberThread* next = takeRunnable();
  if (!next) next = takeUnstarted();
  if (next != thread) leaveFor(thread, next);
}

void FiberBlock::yield(ThreadContext* context) {
  auto* thread = reinterpret_cast<FiberThread*>(context);
  Warp& warp = warpOf(thread);
  if (warp.atActiveMask != 0) settleActiveMask(warp, context->warp);
  runnable_.push(thread);
  FiberThread* next = takeUnstarted();
  if (next) {
    yields_ = 0;
  } else if (++yields_ >
             runnable_.size) {  // everybody who can run has yielded at least once: let other blocks run
    yields_ = 0;
    yielded_ = true;
    return leaveFor(thread, nullptr);
  } else {
    next = takeRunnable();
  }
  if (next != thread) leaveFor(thread, next);
}

void FiberBlock::arrive(FiberThread* thread, Barrier& barrier, uint32_t count) {
  if (!barrier.used) {
    barrier.used = true;
    ++barriersInUse_;
  }
  barrier.expected = count;
  ++barrier.arrived;
  barrier.arrivedLanes[thread->context.warp] |= 1u << thread->context.lane;
}

bool FiberBlock::complete(const Barrier& barrier) const {
  if (barrier.expected == 0) return barrier.arrived + exited_ >= count_;
  if (barrier.arrived >= barrier.expected) return true;
  // Hardware counts warps: the missing and exited lanes of a warp that arrived are arrived.
  uint32_t arrived = barrier.arrived;
  for (uint32_t w = 0; w < warps_.size(); ++w) {
    if (barrier.arrivedLanes[w] == 0) continue;
    arrived += static_cast<uint32_t>(
        std::popcount((~warps_[w].exists | warps_[w].exited) & ~barrier.arrivedLanes[w]));
  }
  return arrived >= barrier.expected;
}

void FiberBlock::release(Barrier& barrier) {
  while (FiberThread* thread = barrier.waiting.pop()) {
    thread->result = uint64_t{barrier.popc} << 32 | barrier.arrived;
    warpOf(thread).atBarrier &= ~(1u << thread->context.lane);
    runnable_.push(thread);
  }
  barrier = {};
  --barriersInUse_;
}

void FiberBlock::releaseAllComplete() {
  for (Barrier& barrier : barriers_) {
    if (barrier.used && complete(barrier)) release(barrier);
  }
}

void FiberBlock::barrier(ThreadContext* context, uint32_t id, uint32_t count, bool wait) {
  auto* thread = reinterpret_cast<FiberThread*>(context);
  Barrier& barrier = barriers_[id % kMaxBarriers];
  arrive(thread, barrier, count);
  if (wait) {
    barrier.waiting.push(thread);
    warpOf(thread).atBarrier |= 1u << context->lane;
  }
  if (complete(barrier)) release(barrier);
  if (wait) suspend(thread);
}

uint32_t FiberBlock::barrierReduce(ThreadContext* context, uint32_t operation, uint32_t id, uint32_t count,
                                   bool predicate) {
  barriers_[id % kMaxBarriers].popc += predicate;
  barrier(context, id, count, true);
  const uint64_t result = reinterpret_cast<FiberThread*>(context)->result;
  const auto popc = static_cast<uint32_t>(result >> 32), arrived = static_cast<uint32_t>(result);
  return operation == 0 ? popc : operation == 1 ? popc == arrived : popc != 0;
}

// Completes whatever operations of this warp have all their lanes.
void FiberBlock::meet(Warp& warp, uint32_t warpIndex) {
  for (uint32_t pending = warp.waiting; pending != 0;) {
    const auto first = static_cast<uint32_t>(std::countr_zero(pending));
    const WarpRequest& request = lane(warpIndex, first)->request;
    const WarpRequest* requests[32];
    uint32_t group = 0;
    for (uint32_t rest = pending; rest != 0; rest &= rest - 1) {
      const auto other = static_cast<uint32_t>(std::countr_zero(rest));
      requests[other] = &lane(warpIndex, other)->request;
      if (requests[other]->meets(request)) group |= 1u << other;
    }
    pending &= ~group;
    if (((group | warp.exited | ~warp.exists) & request.mask) != request.mask) continue;
    uint64_t results[32];
    completeWarpOperation(group, requests, results);
    warp.waiting &= ~group;
    for (uint32_t rest = group; rest != 0; rest &= rest - 1) {
      const auto other = static_cast<uint32_t>(std::countr_zero(rest));
      lane(warpIndex, other)->result = results[other];
      runnable_.push(lane(warpIndex, other));
    }
  }
}

uint64_t FiberBlock::warpOperation(ThreadContext* context, const WarpRequest& request) {
  auto* thread = reinterpret_cast<FiberThread*>(context);
  Warp& warp = warpOf(thread);
  thread->request = request;
  thread->request.mask |= 1u << context->lane;
  warp.waiting |= 1u << context->lane;
  // The last lane to come is the only one that can complete it.
  if (((warp.waiting | warp.exited | ~warp.exists) & thread->request.mask) == thread->request.mask)
    meet(warp, context->warp);
  suspend(thread);
  return thread->result;
}

uint32_t FiberBlock::activeMask(ThreadContext* context, const void* callSite) {
  auto* thread = reinterpret_cast<FiberThread*>(context);
  Warp& warp = warpOf(thread);
  thread->callSite = callSite;
  warp.atActiveMask |= 1u << context->lane;
  suspend(thread);
  return static_cast<uint32_t>(thread->result);
}

// Lanes at activemask wait for the lanes of their warp that still run: as natively, those that come to the
// same place without waiting for something else are found together.
void FiberBlock::settleActiveMask(Warp& warp, uint32_t warpIndex) {
  const uint32_t coming = warp.exists & ~(warp.exited | warp.waiting | warp.atBarrier | warp.atActiveMask);
  const bool yielding = coming == 0 || yields_ > 0;
  if (!yielding) return;
  while (warp.atActiveMask != 0) {
    const void* site = lane(warpIndex, static_cast<uint32_t>(std::countr_zero(warp.atActiveMask)))->callSite;
    uint32_t group = 0;
    for (uint32_t rest = warp.atActiveMask; rest != 0; rest &= rest - 1) {
      const auto other = static_cast<uint32_t>(std::countr_zero(rest));
      if (lane(warpIndex, other)->callSite == site) group |= 1u << other;
    }
    warp.atActiveMask &= ~group;
    for (uint32_t rest = group; rest != 0; rest &= rest - 1) {
      FiberThread* thread = lane(warpIndex, static_cast<uint32_t>(std::countr_zero(rest)));
      thread->result = group;
      runnable_.push(thread);
    }
  }
}

}  // namespace vgpu::kernel
