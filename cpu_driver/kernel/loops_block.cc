#include "cpu_driver/kernel/loops_block.h"

#include <array>
#include <bit>

#include "cpu_driver/kernel/running.h"
#include "cpu_driver/kernel/warp_operations.h"

namespace vgpu::kernel {
namespace {

template <class T>
T* at(LoopsBlock* block, uint32_t offset) {
  return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(block) + offset);
}
LoopsGroup* groupsOf(LoopsBlock* block) { return at<LoopsGroup>(block, block->groupsOffset); }
uint32_t* statesOf(LoopsBlock* block) { return at<uint32_t>(block, block->statesOffset); }
uint64_t* resultsOf(LoopsBlock* block) { return at<uint64_t>(block, block->resultsOffset); }
LoopsRequest* requestsOf(LoopsBlock* block) { return at<LoopsRequest>(block, block->requestsOffset); }

bool waits(uint32_t state) { return (state & kThreadWaiting) != 0 && state != kThreadExited; }
bool atBarrier(const LoopsRequest& request) { return request.wait >= uint32_t(LoopsWait::Barrier); }
void wake(uint32_t& state) { state &= ~kThreadWaiting; }

WarpRequest warpRequest(const LoopsRequest& from) {
  return {static_cast<WarpOperation>(from.wait), from.mode, from.mask, from.value, from.b, from.c};
}

// All lanes that wait to know who came along, by the place where they wait: nobody of the warp still runs.
bool settleActiveMasks(uint32_t* states, const LoopsRequest* requests, uint64_t* results, uint32_t lanes) {
  bool any = false;
  for (uint32_t lane = 0; lane < lanes; ++lane) {
    if (!waits(states[lane]) || requests[lane].wait != uint32_t(LoopsWait::ActiveMask)) continue;
    const uint32_t place = states[lane];
    uint32_t together = 0;
    for (uint32_t other = lane; other < lanes; ++other) {
      if (states[other] == place && requests[other].wait == uint32_t(LoopsWait::ActiveMask))
        together |= 1u << other;
    }
    for (uint32_t rest = together; rest != 0; rest &= rest - 1) {
      const auto other = static_cast<uint32_t>(std::countr_zero(rest));
      results[other] = together;
      wake(states[other]);
    }
    any = true;
  }
  return any;
}

struct BarrierCount {
  uint32_t expected = 0;
  uint32_t arrived = 0;
  uint32_t popc = 0;
  bool used = false;
  std::array<uint32_t, kMaxBlockThreads / kWarpSize> lanes{};
};

class Release {
 public:
  explicit Release(LoopsBlock* block)
      : block_(block),
        groups_(groupsOf(block)),
        states_(statesOf(block)),
        requests_(requestsOf(block)),
        results_(resultsOf(block)) {}

  uint32_t run() {
    for (uint32_t g = 0; g < block_->groups; ++g) {
      if (groups_[g].state < kGroupWaiting) return 1;  // only gave the others their turn
    }
    if (const uint32_t simple = allAtOneBarrier(); simple != kGroupDiverged) return simple;
    count();
    if (live_ == 0) return 0;
    bool woken = false;
    for (uint32_t id = 0; id < kMaxBarriers; ++id) {
      if (barriers_[id].used && complete(barriers_[id])) {
        wakeAt(id);
        woken = true;
      }
    }
    if (!woken) endRun(RunStatus::Deadlock);
    return 1;
  }

 private:
  // The usual case: whole groups, at the barrier of all threads.
  uint32_t allAtOneBarrier() {
    uint32_t waiting = 0;
    for (uint32_t g = 0; g < block_->groups; ++g) {
      const uint32_t state = groups_[g].state;
      if (state == kGroupFinished) continue;
      if (state == kGroupDiverged || groups_[g].count != 0 || groups_[g].barrier != groups_[0].barrier)
        return kGroupDiverged;
      ++waiting;
    }
    if (waiting != 0 && groups_[0].state == kGroupFinished) return kGroupDiverged;
    for (uint32_t g = 0; g < block_->groups; ++g) {
      if (groups_[g].state != kGroupFinished) groups_[g].state &= ~kGroupWaiting;
    }
    return waiting != 0;
  }

  // Threads are numbered by group and lane; where groups are not warps, the numbers of hardware warps differ
  // only for barriers with a count, which say multiples of a warp.
  void arrive(uint32_t id, uint32_t expected, uint32_t thread, bool predicate) {
    BarrierCount& barrier = barriers_[id % kMaxBarriers];
    barrier.used = true;
    barrier.expected = expected;
    ++barrier.arrived;
    barrier.popc += predicate;
    barrier.lanes[thread / kWarpSize % barrier.lanes.size()] |= 1u << thread % kWarpSize;
  }

  void count() {
    for (uint32_t g = 0; g < block_->groups; ++g) {
      for (uint32_t lane = 0; lane < block_->groupSize; ++lane) {
        const uint32_t thread = g * block_->groupSize + lane;
        const LoopsGroup& group = groups_[g];
        if (group.state == kGroupFinished) continue;
        if (group.state == kGroupDiverged) {
          if (states_[thread] == kThreadExited) continue;
          ++live_;
          const LoopsRequest& request = requests_[thread];
          if (atBarrier(request)) arrive(request.b, request.c, thread, request.value != 0);
        } else {
          ++live_;
          arrive(group.barrier, group.count, thread, false);
        }
      }
    }
  }

  bool complete(const BarrierCount& barrier) const {
    if (barrier.expected == 0) return barrier.arrived >= live_;
    uint32_t arrived = barrier.arrived;
    for (uint32_t w = 0; w * kWarpSize < block_->groups * block_->groupSize && w < barrier.lanes.size();
         ++w) {
      if (barrier.lanes[w] == 0) continue;
      for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
        const uint32_t thread = w * kWarpSize + lane;
        const bool gone = thread >= block_->groups * block_->groupSize || isGone(thread);
        arrived += gone && (barrier.lanes[w] >> lane & 1) == 0;
      }
    }
    return arrived >= barrier.expected;
  }

  bool isGone(uint32_t thread) const {
    const uint32_t state = groups_[thread / block_->groupSize].state;
    return state == kGroupFinished || (state == kGroupDiverged && states_[thread] == kThreadExited);
  }

  void wakeAt(uint32_t id) {
    const BarrierCount& barrier = barriers_[id];
    for (uint32_t g = 0; g < block_->groups; ++g) {
      LoopsGroup& group = groups_[g];
      if (group.state == kGroupFinished) continue;
      if (group.state != kGroupDiverged) {
        if (group.barrier == id) group.state &= ~kGroupWaiting;
        continue;
      }
      for (uint32_t thread = g * block_->groupSize; thread < (g + 1) * block_->groupSize; ++thread) {
        const LoopsRequest& request = requests_[thread];
        if (!waits(states_[thread]) || !atBarrier(request) || request.b != id) continue;
        results_[thread] = request.mode == 0   ? barrier.popc
                           : request.mode == 1 ? barrier.popc == barrier.arrived
                                               : barrier.popc != 0;
        wake(states_[thread]);
      }
    }
  }

  LoopsBlock* block_;
  LoopsGroup* groups_;
  uint32_t* states_;
  LoopsRequest* requests_;
  uint64_t* results_;
  std::array<BarrierCount, kMaxBarriers> barriers_{};
  uint32_t live_ = 0;
};

}  // namespace

uint32_t loopsMeet(LoopsBlock* block, uint32_t group) {
  uint32_t* states = statesOf(block) + size_t{group} * block->groupSize;
  const LoopsRequest* requests = requestsOf(block) + size_t{group} * block->groupSize;
  uint64_t* stored = resultsOf(block) + size_t{group} * block->groupSize;
  WarpRequest copies[32];
  const WarpRequest* pointers[32] = {};
  uint32_t waiting = 0, gone = 0;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (lane >= block->groupSize || states[lane] == kThreadExited) {
      gone |= 1u << lane;
    } else if (waits(states[lane]) && requests[lane].wait < uint32_t(LoopsWait::ActiveMask)) {
      waiting |= 1u << lane;
      copies[lane] = warpRequest(requests[lane]);
      copies[lane].mask |= 1u << lane;
      pointers[lane] = &copies[lane];
    }
  }
  bool any = settleActiveMasks(states, requests, stored, block->groupSize);
  for (uint32_t pending = waiting; pending != 0;) {
    const WarpRequest& first = copies[std::countr_zero(pending)];
    uint32_t together = 0;
    for (uint32_t rest = pending; rest != 0; rest &= rest - 1) {
      const auto lane = static_cast<uint32_t>(std::countr_zero(rest));
      if (copies[lane].meets(first)) together |= 1u << lane;
    }
    pending &= ~together;
    if (((together | gone) & first.mask) != first.mask) continue;
    uint64_t results[32];
    completeWarpOperation(together, pointers, results);
    for (uint32_t rest = together; rest != 0; rest &= rest - 1) {
      const auto lane = static_cast<uint32_t>(std::countr_zero(rest));
      stored[lane] = results[lane];
      wake(states[lane]);
    }
    any = true;
  }
  return any;
}

uint32_t loopsRelease(LoopsBlock* block) { return Release(block).run(); }

}  // namespace vgpu::kernel
