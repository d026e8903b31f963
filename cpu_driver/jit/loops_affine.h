// Integers that grow by a constant from lane to lane of a group, and conditions on them: all lanes' way is
// known from two of them. Compile thread.
#pragma once

#include "cpu_driver/jit/loops_plan.h"

namespace vgpu::jit {

// By how much a 32-bit or 64-bit integer grows from lane to lane, or nothing. Modulo its width, but for
// extensions: those are affine only in a group in which the narrow value does not wrap around.
std::optional<int64_t> growthByLane(const Plan& plan, const llvm::Value* value);
// Whether it is a thread's index in the group's row, or its lane: never negative, never wraps around.
bool isThreadIndex(const Plan& plan, const llvm::Value* value);
// Whether Region::agreement will know the condition.
bool mayAgree(const Plan& plan, const llvm::Value* condition);

}  // namespace vgpu::jit
