// A thread's request at a rendezvous (kernel/loops_block.h's LoopsRequest), written by generated code.
// Compile thread.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/IR/IRBuilder.h>

#include "cpu_driver/jit/thread_function.h"

namespace vgpu::jit {

// `request` is the thread's; `argument(i)` gives the marker call's argument for this thread.
void storeRequest(llvm::IRBuilder<>& builder, Marker operation, llvm::Value* request,
                  llvm::function_ref<llvm::Value*(unsigned)> argument);

}  // namespace vgpu::jit
