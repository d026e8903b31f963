// The code of a module, before any context: found in whatever image the program handed over, parsed and
// checked. Any thread. Images are the program's own memory (an executor hands over a copy); what they hold is
// untrusted.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cpu_driver/runtime/kernel_code.h"

namespace vgpu::cpu {

class ModuleCode {
 public:
  explicit ModuleCode(std::shared_ptr<const ptx::Module> module);

  const ptx::Module& module() const { return *module_; }
  // The kernels that are defined here, in the order of the text.
  const std::vector<std::shared_ptr<KernelCode>>& kernels() const { return kernels_; }
  std::shared_ptr<KernelCode> kernel(std::string_view name) const;

 private:
  std::shared_ptr<const ptx::Module> module_;
  std::vector<std::shared_ptr<KernelCode>> kernels_;
};

// PTX text, a fat binary, or a fat binary's wrapper, told apart by its first bytes.
Failure loadCode(const void* image, std::shared_ptr<ModuleCode>* code);
Failure loadCodeFromText(std::string_view ptx, std::shared_ptr<ModuleCode>* code);
Failure loadCodeFromFile(const char* path, std::shared_ptr<ModuleCode>* code);

// Modules that refer to each other, as one.
Failure linkTexts(std::span<const std::string> texts, std::string* linked);

// The PTX text that an image holds for this device.
Failure ptxOfImage(const void* image, std::string* text);

}  // namespace vgpu::cpu
