// What the operations of a warp compute, once all lanes that take part have arrived: the same rules for every
// form. Worker threads; owns nothing. Lanes' values come from generated code, masks are untrusted but only
// ever select lanes.
#pragma once

#include <cstdint>

namespace vgpu::kernel {

enum class WarpOperation : uint8_t { Sync, Shuffle, Vote, MatchAny, MatchAll, Redux, Matrix };

// One lane's operands. The numbers of `mode` are those of jit/thread_function.h.
struct WarpRequest {
  WarpOperation operation = WarpOperation::Sync;
  uint32_t mode = 0;
  uint32_t mask = 0;
  uint64_t value = 0;  // shuffle, match, redux: the value; vote: the predicate; matrix: of MatrixRegisters
  uint32_t b = 0;      // shuffle: lane or distance; matrix: the operation's low half
  uint32_t c = 0;      // shuffle: clamp and segment mask; matrix: the operation's high half

  bool meets(const WarpRequest& other) const {
    return operation == other.operation && mode == other.mode && mask == other.mask;
  }
};

// Completes the operation for the lanes in `arrived`: requests[lane] in, results[lane] out. A result with a
// predicate has it in bit 32. A shuffle from a lane that did not arrive gives the lane's own value, as an
// inactive source may.
void completeWarpOperation(uint32_t arrived, const WarpRequest* const requests[32], uint64_t results[32]);

}  // namespace vgpu::kernel
