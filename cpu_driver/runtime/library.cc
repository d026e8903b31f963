#include "cpu_driver/runtime/library.h"

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/driver.h"

namespace vgpu::cpu {

Function* Kernel::functionIn(Context& context, CUresult* error) {
  CUmodule handle = nullptr;
  *error = library_.moduleIn(context, &handle);
  if (*error != CUDA_SUCCESS) return nullptr;
  Module* module = driver().modules.find(handle);
  Function* function = module ? driver().functions.find(module->function(code_->name())) : nullptr;
  if (!function) {
    *error = CUDA_ERROR_INVALID_HANDLE;
    return nullptr;
  }
  function->attributes().inherit(attributes_);
  return function;
}

Library::~Library() {
  for (const auto& [name, kernel] : kernels_) driver().kernels.remove(kernel);
  for (const auto& [context, module] : modules_) driver().modules.remove(module);
}

CUkernel Library::kernel(std::string_view name) {
  std::lock_guard lock(mutex_);
  if (const auto found = kernels_.find(name); found != kernels_.end()) return found->second;
  auto code = code_->kernel(name);
  if (!code) return nullptr;
  const CUkernel handle = driver().kernels.insert(std::make_shared<Kernel>(*this, std::move(code)));
  kernels_.emplace(name, handle);
  return handle;
}

std::vector<CUkernel> Library::kernels() {
  std::vector<CUkernel> all;
  for (const auto& code : code_->kernels()) all.push_back(kernel(code->name()));
  return all;
}

CUresult Library::moduleIn(Context& context, CUmodule* handle) {
  std::lock_guard lock(mutex_);
  CUmodule& known = modules_[context.id()];
  if (!known) {
    auto module = std::make_shared<Module>(context, code_);
    const Failure failure = module->place();
    if (failure.code != CUDA_SUCCESS) return failure.code;
    Module& made = *module;
    known = driver().modules.insert(std::move(module));
    made.setHandle(known);
  }
  *handle = known;
  return CUDA_SUCCESS;
}

void Library::synchronize() {
  std::vector<CUmodule> modules;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [context, module] : modules_) modules.push_back(module);
  }
  for (const CUmodule handle : modules)
    if (Module* module = driver().modules.find(handle)) module->context().synchronize();
}

}  // namespace vgpu::cpu
