#include "cpu_driver/runtime/value_work.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/fault_handler.h"
#include "cpu_driver/runtime/side_threads.h"

namespace vgpu::cpu {
namespace {

constexpr auto kFirstPause = std::chrono::microseconds(20);
constexpr auto kLongestPause = std::chrono::microseconds(1000);

uint64_t load(uintptr_t address, unsigned bytes) {
  if (bytes == 4) return __atomic_load_n(reinterpret_cast<const uint32_t*>(address), __ATOMIC_SEQ_CST);
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(address), __ATOMIC_SEQ_CST);
}

// cuda.h, CUstreamWaitValue_flags: the comparison is cyclic.
bool compare(CUstreamWaitValue_flags condition, uint64_t found, uint64_t wanted, unsigned bytes) {
  const uint64_t mask = bytes == 4 ? UINT32_MAX : UINT64_MAX;
  switch (condition) {
    case CU_STREAM_WAIT_VALUE_GEQ:
      return bytes == 4 ? static_cast<int32_t>(static_cast<uint32_t>(found - wanted)) >= 0
                        : static_cast<int64_t>(found - wanted) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
      return found == (wanted & mask);
    case CU_STREAM_WAIT_VALUE_AND:
      return (found & wanted & mask) != 0;
    case CU_STREAM_WAIT_VALUE_NOR:
      return (~(found | wanted) & mask) != 0;
    default:
      return true;
  }
}

}  // namespace

Step WriteValueWork::run(Execution&, Stream& stream) {
  const bool written = survivesFault([this] {
    if (bytes_ == 4) {
      __atomic_store_n(reinterpret_cast<uint32_t*>(address_), static_cast<uint32_t>(value_),
                       __ATOMIC_SEQ_CST);
    } else {
      __atomic_store_n(reinterpret_cast<uint64_t*>(address_), value_, __ATOMIC_SEQ_CST);
    }
  });
  if (!written) stream.context().fail(CUDA_ERROR_ILLEGAL_ADDRESS);
  return Step::Done;
}

bool WaitValueWork::holds(bool* faulted) const {
  uint64_t found = 0;
  *faulted = !survivesFault([&] { found = load(address_, bytes_); });
  return compare(condition_, found, value_, bytes_);
}

Step WaitValueWork::run(Execution&, Stream& stream) {
  bool faulted = false;
  if (holds(&faulted)) return Step::Done;
  if (faulted) {
    stream.context().fail(CUDA_ERROR_ILLEGAL_ADDRESS);
    return Step::Done;
  }
  const auto pause =
      std::min<std::chrono::microseconds>(kLongestPause, kFirstPause * (1u << std::min(looks_++, 6u)));
  const auto self = stream.shared_from_this();
  stream.handOn();
  runAfter(pause, [self] { self->resume(); });
  return Step::Blocked;
}

}  // namespace vgpu::cpu
