// What jit asks of jit/translate: one kernel of a parsed module as a thread function. Compile thread; see
// thread_function.h. The module text was checked by cpu_driver/ptx; anything not translated yet is refused by
// name.
#pragma once

#include <llvm/IR/LLVMContext.h>

#include <string>
#include <string_view>
#include <variant>

#include "cpu_driver/jit/thread_function.h"

namespace vgpu::jit {

struct TranslateError {
  enum class Kind { InvalidPtx, Unsupported, NotFound } kind;
  std::string log;
};

// Parses what it needs of `ptx`, translates `kernel` and the device functions that it reaches.
std::variant<ThreadFunction, TranslateError> translateKernel(llvm::LLVMContext& context, std::string_view ptx,
                                                             std::string_view kernel);

}  // namespace vgpu::jit
