#include "cpu_driver/jit/form.h"
namespace vgpu::jit {
std::optional<Lowered> lowerToLoops(ThreadFunction&, const FormOptions&, llvm::TargetMachine&, std::string& why) {
  why = "not yet";
  return std::nullopt;
}
}  // namespace vgpu::jit
