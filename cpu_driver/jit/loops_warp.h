// Operations of a warp whose 32 lanes are together, on vectors of 32. Compile thread. The rules are those of
// kernel/warp_operations.cc, which diverged groups use.
#pragma once

#include <llvm/IR/IRBuilder.h>

#include <vector>

#include "cpu_driver/jit/thread_function.h"

namespace vgpu::jit {

struct WarpResult {
  llvm::Value* values = nullptr;      // <32 x i32>, null: none
  llvm::Value* predicates = nullptr;  // <32 x i8>, null: none
};

// Whether it can be done in line. `operands` are scalars or vectors of 32.
bool inlineWarpOperation(Marker which);
// An i1: the mask names all lanes. `mask` is a scalar or a vector.
llvm::Value* namesAllLanes(llvm::IRBuilder<>& builder, llvm::Value* mask);
unsigned maskArgument(Marker which);
WarpResult emitWarpOperation(llvm::IRBuilder<>& builder, Marker which,
                             const std::vector<llvm::Value*>& operands);

}  // namespace vgpu::jit
