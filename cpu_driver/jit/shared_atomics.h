// Atomics on shared memory in the loops form. Compile thread.
#pragma once

#include <llvm/IR/Function.h>

namespace vgpu::jit {

// A block's shared memory belongs to the worker that runs the block, one lane after another: no other thread
// of the process sees it. So its atomics become plain loads and stores, without a locked instruction. They
// are marked, because lanes must not do them side by side.
void makeSharedAtomicsPlain(llvm::Function& function);
bool isLaneByLane(const llvm::Instruction& instruction);

}  // namespace vgpu::jit
