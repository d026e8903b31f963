// LLVM's part: the machine that code is made for, the passes, and the object file. Compile thread.
#pragma once

#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>

namespace vgpu::jit {

// For this processor; position-independent, small code model.
std::unique_ptr<llvm::TargetMachine> hostMachine(unsigned optimization);
// Sets layout and triple, and attributes that every function has.
void adopt(llvm::Module& module, llvm::TargetMachine& machine);

// Scalar clean-up of a thread function whose markers are still opaque calls.
void simplify(llvm::Module& module, llvm::TargetMachine& machine);
// The same again after inlining, and what the loops form wants: no vectors, no switches, rotated loops.
void simplifyForLoops(llvm::Module& module, llvm::TargetMachine& machine);
// Inlines every call of a defined function. The call graph has no cycles.
void inlineAll(llvm::Module& module, llvm::TargetMachine& machine);
// All of -O<level>, vectorisers included.
void optimize(llvm::Module& module, llvm::TargetMachine& machine, unsigned level);
// What a lowered loops form needs and no more: its thread function was simplified before, and it is large.
void optimizeLoops(llvm::Module& module, llvm::TargetMachine& machine);
// An ELF object.
llvm::SmallVector<char, 0> emitObject(llvm::Module& module, llvm::TargetMachine& machine);

}  // namespace vgpu::jit
