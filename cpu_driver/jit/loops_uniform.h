// Which values are equal in all lanes of a group that runs together: LLVM's uniformity analysis with our
// sources of divergence. Compile thread.
#pragma once

#include <llvm/ADT/DenseSet.h>
#include <llvm/IR/Function.h>

#include "cpu_driver/jit/loops_plan.h"

namespace vgpu::jit {

// Instructions that are divergent in a group of that shape.
llvm::DenseSet<const llvm::Value*> divergentValues(llvm::Function& function, const GroupShape& shape);

}  // namespace vgpu::jit
