// A block in the loops form, as its scratch memory holds it. Generated code runs groups of threads (a row's
// strip or a warp) as loops over lanes; what it cannot decide in line, rendezvous of lanes and barriers, it
// asks of these functions. Written by generated code on the worker that runs the block; the layout is part of
// the ABI.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu_driver/kernel/abi.h"

namespace vgpu::kernel {

// A thread's state: a region to run, or one of these. Generated code runs the smallest state of a group
// first.
constexpr uint32_t kThreadWaiting = 0x4000'0000;  // | region to go on at
constexpr uint32_t kThreadExited = 0x7fff'ffff;

// A group's state: a region that all its lanes are at, or one of these.
constexpr uint32_t kGroupWaiting =
    0x4000'0000;  // | region: all lanes wait at a barrier of the block, see barrier
constexpr uint32_t kGroupDiverged = 0x7fff'fffe;  // each lane has its own state
constexpr uint32_t kGroupFinished = 0x7fff'ffff;

enum class LoopsWait : uint32_t {
  Sync,
  Shuffle,
  Vote,
  MatchAny,
  MatchAll,
  Redux,
  Matrix,
  ActiveMask,
  Barrier,
  Arrive,
  Reduce
};

// What a thread waits for, in a diverged group. For barriers: b is the id, c the count, value the predicate.
struct LoopsRequest {
  uint32_t wait = 0;
  uint32_t mode = 0;
  uint32_t mask = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t unused = 0;
  uint64_t value = 0;
};

struct LoopsGroup {
  uint32_t state = 0;
  uint32_t barrier = 0;  // of a whole group that waits: id, and count
  uint32_t count = 0;
  uint32_t unused = 0;
};

// At the start of the scratch memory. Groups, thread states and requests follow at these offsets.
struct LoopsBlock {
  uint32_t groups = 0;
  uint32_t groupSize = 0;  // lanes; threads are group * groupSize + lane
  uint32_t threads = 0;    // that exist
  uint32_t groupsOffset = 0;
  uint32_t statesOffset = 0;
  uint32_t requestsOffset = 0;
  uint32_t resultsOffset = 0;  // u64 a thread: what its last rendezvous gave, a predicate in bit 32
};

// Completes operations of the warp that is group `group`. 1: some lane can run again.
uint32_t loopsMeet(LoopsBlock* block, uint32_t group);
// No group can run: completes barriers. 1: some group can run again, 0: the block has ended. Ends the run on
// a deadlock.
uint32_t loopsRelease(LoopsBlock* block);

}  // namespace vgpu::kernel
