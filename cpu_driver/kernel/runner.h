// Runs the blocks of a launch on a worker thread, in either form. One Runner a worker, used by that thread
// alone; it keeps the stacks, shared memory and scratch of its resident blocks between launches. Several
// workers may run one launch at once: blocks are claimed from LaunchContext::nextBlock. A fault in generated
// code ends run() with an outcome, if the process's SIGSEGV handler calls recoverFromFault (fault.h).
#pragma once

#include <cstdint>
#include <memory>

#include "cpu_driver/kernel/abi.h"
#include "cpu_driver/kernel/image.h"

namespace vgpu::kernel {

enum class RunStatus {
  Done,            // no block is left to claim; those that this worker claimed have ended
  Stopped,         // another worker's block faulted, or the driver set LaunchContext::stopped
  IllegalAddress,  // CUDA_ERROR_ILLEGAL_ADDRESS
  Misaligned,      // CUDA_ERROR_MISALIGNED_ADDRESS
  Trap,            // trap: CUDA_ERROR_LAUNCH_FAILED natively
  Assert,          // CUDA_ERROR_ASSERT; HostServices::assertionFailed was called
  IllegalInstruction,
  StackOverflow,  // CUDA_ERROR_ILLEGAL_ADDRESS natively
  Deadlock,       // every resident thread waits at a barrier that nobody can complete
  OutOfMemory,    // no stacks or shared memory for a block
  Unsupported,    // an operation whose host service is null
};
const char* runStatusName(RunStatus status);

struct RunOutcome {
  RunStatus status = RunStatus::Done;
  uintptr_t address = 0;  // of the wild access
};

class Runner {
 public:
  explicit Runner(uint32_t multiprocessor);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Claims and runs blocks until none is left. `launch.prepare()` was called, launch.block fits the image.
  RunOutcome run(const LoadedImage& image, LaunchContext& launch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// How many blocks of a launch that spins one worker keeps resident before it waits for others; occupancy
// reports it.
constexpr uint32_t kResidentThreadsPerWorker = 2048;
constexpr uint32_t kResidentBlocksPerWorker = 32;

}  // namespace vgpu::kernel
