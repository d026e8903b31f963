#include "cpu_driver/kernel/runner.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/clock.h"
#include "cpu_driver/kernel/fault.h"
#include "cpu_driver/kernel/fiber_block.h"
#include "cpu_driver/kernel/running.h"

namespace vgpu::kernel {
namespace {

constexpr size_t kDefaultStackBytes = 64 * 1024;
constexpr uint64_t kNoBlock = ~uint64_t{0};
// Blocks that wait for each other go on sooner than this; waking another thread takes about as long.
constexpr auto kShortWait = std::chrono::microseconds(50);

using BlockEntry = void (*)(BlockContext*);

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Memory of a block, grown when a launch wants more, never cleared between blocks: as on a device.
class BlockMemory {
 public:
  std::byte* atLeast(size_t bytes) {
    if (memory_.sizeBytes() >= bytes && memory_.valid()) return memory_.data();
    const size_t inner = rounded(std::max<size_t>(bytes, 4096), 4096);
    void* address =
        mmap(nullptr, inner, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) return nullptr;
    memory_ = Mapping(address, inner);
    return memory_.data();
  }

 private:
  Mapping memory_;
};

struct ResidentBlock {
  FiberBlock fibers;
  BlockMemory shared;
};

Dim3 blockIndex(uint64_t linear, const Dim3& grid) {
  if (linear == 0) return {0, 0, 0};
  return {static_cast<uint32_t>(linear % grid.x), static_cast<uint32_t>(linear / grid.x % grid.y),
          static_cast<uint32_t>(linear / grid.x / grid.y)};
}

// A launch all of whose resident blocks wait for others: gives the processor away each time, and tells the
// driver once that takes long.
class WaitForOthers {
 public:
  void begin(LaunchContext& launch) {
    launch_ = &launch;
    since_ = {};
    told_ = false;
  }
  void waitOnce() {
    const MonotonicTime time = now();
    if (since_ == MonotonicTime{}) since_ = time;
    if (!told_ && time - since_ > kShortWait) tell(true);
    sched_yield();
  }
  void end() {
    since_ = {};
    if (told_) tell(false);
  }

 private:
  void tell(bool waits) {
    told_ = waits;
    if (launch_->services && launch_->services->waiting) launch_->services->waiting(launch_, waits);
  }

  LaunchContext* launch_ = nullptr;
  MonotonicTime since_;
  bool told_ = false;
};

}  // namespace

struct Runner::State {
  uint32_t multiprocessor = 0;
  FiberStackPool stacks;
  std::vector<std::unique_ptr<ResidentBlock>> blocks;  // those in use come first
  BlockMemory loopsShared, loopsScratch;
  WaitForOthers others;

  void runLoops(const LoadedImage& image, LaunchContext& launch, RunOutcome& outcome);
  void runFibers(const LoadedImage& image, LaunchContext& launch, RunOutcome& outcome);
  bool admit(const LoadedImage& image, LaunchContext& launch, size_t resident, RunOutcome& outcome);
};

const char* runStatusName(RunStatus status) {
  static constexpr const char* kNames[] = {
      "done",     "stopped",       "illegal address",      "misaligned address",
      "trap",     "assert",        "illegal instruction",  "stack overflow",
      "deadlock", "out of memory", "unsupported operation"};
  return kNames[static_cast<size_t>(status)];
}

Runner::Runner(uint32_t multiprocessor) : state_(std::make_unique<State>()) {
  state_->multiprocessor = multiprocessor;
}
Runner::~Runner() = default;

namespace {

// Claims up to `wanted` blocks; the first one's index, or kNoBlock.
uint64_t claim(LaunchContext& launch, uint64_t wanted, uint64_t& got) {
  if (launch.stopped.load(std::memory_order_relaxed) != 0) return kNoBlock;
  uint64_t first = launch.nextBlock.load(std::memory_order_relaxed);
  if (first >= launch.blockCount) return kNoBlock;
  if (launch.alone) {
    launch.nextBlock.store(first + wanted, std::memory_order_relaxed);
  } else {
    first = launch.nextBlock.fetch_add(wanted, std::memory_order_relaxed);
    if (first >= launch.blockCount) return kNoBlock;
  }
  got = std::min(wanted, launch.blockCount - first);
  return first;
}

// How many blocks to claim: many while many are left, one at the end, so that workers end together.
uint64_t loopsChunk(const LaunchContext& launch) {
  if (launch.alone) return launch.blockCount;
  constexpr uint64_t kShares = 4, kMost = 64;
  const uint64_t next = std::min(launch.nextBlock.load(std::memory_order_relaxed), launch.blockCount);
  return std::clamp<uint64_t>((launch.blockCount - next) / (kShares * std::max(1u, launch.multiprocessors)),
                              1, kMost);
}

}  // namespace

void Runner::State::runLoops(const LoadedImage& image, LaunchContext& launch, RunOutcome& outcome) {
  const auto entry = reinterpret_cast<BlockEntry>(reinterpret_cast<uintptr_t>(image.entry()));
  BlockContext block;
  block.launch = &launch;
  block.multiprocessor = multiprocessor;
  block.sharedBytes = image.header().staticSharedBytes + launch.dynamicSharedBytes;
  block.shared = loopsShared.atLeast(block.sharedBytes);
  block.scratchBytes = image.header().scratchBytes;
  block.scratch = loopsScratch.atLeast(block.scratchBytes);
  if (!block.shared || !block.scratch) {
    outcome.status = RunStatus::OutOfMemory;
    return;
  }
  uint64_t count = 0;
  for (uint64_t first; (first = claim(launch, loopsChunk(launch), count)) != kNoBlock;) {
    block.index = blockIndex(first, launch.grid);
    for (uint64_t i = 0; i < count; ++i) {
      entry(&block);
      if (++block.index.x == launch.grid.x) {
        block.index.x = 0;
        if (++block.index.y == launch.grid.y) block.index.y = 0, ++block.index.z;
      }
      if (launch.stopped.load(std::memory_order_relaxed) != 0) break;
    }
  }
  if (launch.stopped.load(std::memory_order_relaxed) != 0) outcome.status = RunStatus::Stopped;
}

// Makes one more block resident. False when there is none left, or no memory (in the outcome).
bool Runner::State::admit(const LoadedImage& image, LaunchContext& launch, size_t resident,
                          RunOutcome& outcome) {
  uint64_t got = 0;
  const uint64_t index = claim(launch, 1, got);
  if (index == kNoBlock) return false;
  if (resident == blocks.size()) blocks.push_back(std::make_unique<ResidentBlock>());
  ResidentBlock& block = *blocks[resident];
  block.fibers.begin(launch, reinterpret_cast<ThreadEntry>(reinterpret_cast<uintptr_t>(image.entry())),
                     stacks);
  BlockContext& context = block.fibers.context();
  context.index = blockIndex(index, launch.grid);
  context.multiprocessor = multiprocessor;
  context.sharedBytes = image.header().staticSharedBytes + launch.dynamicSharedBytes;
  context.shared = block.shared.atLeast(context.sharedBytes);
  if (!context.shared) outcome.status = RunStatus::OutOfMemory;
  return context.shared != nullptr;
}

void Runner::State::runFibers(const LoadedImage& image, LaunchContext& launch, RunOutcome& outcome) {
  const size_t capacity =
      launch.cooperative
          ? SIZE_MAX
          : std::clamp<size_t>(kResidentThreadsPerWorker / launch.block.count(), 1, kResidentBlocksPerWorker);
  size_t resident = 0, turn = 0, idleTurns = 0;
  for (;;) {
    if (launch.stopped.load(std::memory_order_relaxed) != 0) {
      outcome.status = RunStatus::Stopped;
      return;
    }
    // One more block when there is none, or when all that are here have only yielded.
    if (resident == 0 || (idleTurns >= resident && resident < capacity)) {
      if (admit(image, launch, resident, outcome)) {
        turn = resident++;
        idleTurns = 0;
      } else if (resident == 0 || outcome.status != RunStatus::Done) {
        return;
      }
    }
    // Only another worker's block, another launch, a copy or the program can end the waiting.
    if (idleTurns >= resident) others.waitOnce();
    turn %= resident;
    switch (blocks[turn]->fibers.run()) {
      case FiberBlock::Progress::Finished:
        std::swap(blocks[turn], blocks[--resident]);
        idleTurns = 0;
        others.end();
        break;
      case FiberBlock::Progress::Yielded:
        ++turn;
        ++idleTurns;
        break;
      case FiberBlock::Progress::Deadlock:
        outcome.status = RunStatus::Deadlock;
        return;
      case FiberBlock::Progress::NoStack:
        outcome.status = RunStatus::OutOfMemory;
        return;
    }
  }
}

RunOutcome Runner::run(const LoadedImage& image, LaunchContext& launch) {
  Running now;
  now.image = &image;
  now.launch = &launch;
  Running* const before = running();
  setRunning(&now);
  const bool fibers = image.form() == Form::Fibers;
  if (fibers) {
    const size_t wanted = std::max<size_t>(kDefaultStackBytes, launch.fiberStackBytes + kServiceStackBytes);
    state_->stacks.setStackBytes(wanted + image.header().stackBytes);
    now.stacks = &state_->stacks;
    state_->others.begin(launch);
  }
  if (sigsetjmp(now.out, 0) == 0) {
    if (fibers) {
      state_->runFibers(image, launch, now.outcome);
    } else {
      state_->runLoops(image, launch, now.outcome);
    }
  } else {
    // Out of a signal handler the signal is still blocked; out of a service this changes nothing.
    sigset_t faults;
    sigemptyset(&faults);
    for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaddset(&faults, signal);
    pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
  }
  if (fibers) state_->others.end();
  setRunning(before);
  if (now.outcome.status != RunStatus::Done) {
    launch.stopped.store(1, std::memory_order_relaxed);
    for (auto& block : state_->blocks) block->fibers.abandon();
    if (fibers) state_->stacks.takeAllBack();
  }
  return now.outcome;
}

}  // namespace vgpu::kernel
