// The forms: what turns a thread function into code that runs a block. Compile thread; works on the module in
// place. A form either takes a kernel or says why not; then the module is spoilt and the kernel is translated
// anew.
#pragma once

#include <optional>
#include <string>

#include "cpu_driver/jit/thread_function.h"
#include "cpu_driver/kernel/abi.h"
#include "cpu_driver/kernel/image.h"

namespace llvm {
class TargetMachine;
}

namespace vgpu::jit {

struct FormOptions {
  kernel::Form form = kernel::Form::Auto;
  kernel::Dim3 block{0, 0, 0};  // 0: any
  bool exactChecks = false;
  unsigned optimization = 0;  // 0: the default
};

// What the image's header needs of a lowered module; the entry is `vgpu_entry`.
struct Lowered {
  kernel::Form form = kernel::Form::Fibers;
  uint32_t flags = 0;
  uint32_t scratchBytes = 0;
  kernel::Dim3 block{0, 0, 0};
};

constexpr const char* kEntryName = "vgpu_entry";

// Facts about the thread function that decide its form. Puts vgpu.yield into spinning loops.
struct Shape {
  bool spins = false;       // a loop waits for what another thread does
  uint32_t steps = 0;       // instructions that a thread executes at most; 0: no bound is known
  std::string whyNotLoops;  // empty: the loops form may be tried
};
Shape prepareThreadFunction(ThreadFunction& function, const FormOptions& options);

Lowered lowerToFibers(ThreadFunction& function, const FormOptions& options);
// Null when the form cannot take it; `why` says why.
std::optional<Lowered> lowerToLoops(ThreadFunction& function, const FormOptions& options,
                                    llvm::TargetMachine& target, std::string& why);

}  // namespace vgpu::jit
