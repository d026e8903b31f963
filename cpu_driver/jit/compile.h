// From a thread function to a kernel image: prepares it, chooses the form, optimises, flattens. Compile
// thread.
#pragma once

#include <llvm/IR/LLVMContext.h>

#include <cstddef>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "cpu_driver/jit/form.h"
#include "cpu_driver/jit/translate_interface.h"

namespace vgpu::jit {

struct CompileFailure {
  TranslateError::Kind kind = TranslateError::Kind::Unsupported;
  bool internal = false;  // not the kernel's fault: the form that was forced, or a limit
  std::string log;
};

struct Compiled {
  std::vector<std::byte> image;
  std::string remarks;  // which form, and why not the other
};

// A form spoils the module that it refuses: the source is asked again then.
using ThreadFunctionSource = std::function<std::variant<ThreadFunction, TranslateError>(llvm::LLVMContext&)>;

std::variant<Compiled, CompileFailure> compileThreadFunction(const ThreadFunctionSource& source,
                                                             const FormOptions& options);

}  // namespace vgpu::jit
