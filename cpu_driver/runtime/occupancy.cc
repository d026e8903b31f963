#include "cpu_driver/runtime/occupancy.h"

#include <algorithm>

#include "cpu_driver/kernel/runner.h"
#include "cpu_driver/runtime/device.h"
#include "cpu_driver/runtime/kernel_code.h"

namespace vgpu::cpu {
namespace {

// Shared memory is given out in these units (CUDA occupancy calculator, compute capability 9.0).
constexpr size_t kSharedUnitBytes = 128;
constexpr unsigned kWarp = 32;

unsigned byThreads(uint64_t threads) {
  const uint64_t rounded = (threads + kWarp - 1) / kWarp * kWarp;
  static_assert(kernel::kResidentThreadsPerWorker == kMostThreadsPerMultiprocessor);
  return static_cast<unsigned>(kernel::kResidentThreadsPerWorker / rounded);
}

}  // namespace

unsigned residentBlocks(KernelCode& code, uint64_t threads, size_t dynamicSharedBytes) {
  if (threads == 0 || threads > code.mostThreads()) return 0;
  const size_t shared = code.resources().sharedBytes + dynamicSharedBytes;
  if (shared > kSharedBytesPerBlockOptIn) return 0;
  const size_t unit =
      (shared + kReservedSharedBytesPerBlock + kSharedUnitBytes - 1) / kSharedUnitBytes * kSharedUnitBytes;
  static_assert(kernel::kResidentBlocksPerWorker == kMostBlocksPerMultiprocessor);
  unsigned blocks = std::min(kMostBlocksPerMultiprocessor, byThreads(threads));
  return std::min(blocks, static_cast<unsigned>(kSharedBytesPerMultiprocessor / unit));
}

size_t dynamicSharedBytesFor(KernelCode& code, unsigned blocks, uint64_t threads) {
  if (blocks == 0 || threads == 0 || blocks > std::min(kMostBlocksPerMultiprocessor, byThreads(threads)))
    return 0;
  const size_t perBlock = kSharedBytesPerMultiprocessor / blocks / kSharedUnitBytes * kSharedUnitBytes;
  const size_t taken = code.resources().sharedBytes + kReservedSharedBytesPerBlock;
  if (perBlock <= taken) return 0;
  return std::min<size_t>(perBlock - taken, kSharedBytesPerBlockOptIn - code.resources().sharedBytes);
}

}  // namespace vgpu::cpu
