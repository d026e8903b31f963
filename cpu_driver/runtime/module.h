// A module in a context: its code, and its variables at their addresses; and the functions that programs
// launch. Any thread. The driver's tables own modules and functions; a launch in flight ends before its
// module goes.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "cpu_driver/runtime/address_map.h"
#include "cpu_driver/runtime/module_code.h"

namespace vgpu::cpu {

class Context;
class Module;

// What cuFuncSetAttribute and cuKernelSetAttribute change; -1: not set.
class FunctionAttributes {
 public:
  CUresult get(KernelCode& code, CUfunction_attribute attribute, int* value) const;
  CUresult set(KernelCode& code, CUfunction_attribute attribute, int value);
  // Takes what was set on a library's kernel.
  void inherit(const FunctionAttributes& kernel);

 private:
  std::atomic<int> mostDynamicShared_{-1};
  std::atomic<int> carveout_{-1};
  std::atomic<int> nonPortableCluster_{0};
};

// A kernel in a context.
class Function {
 public:
  Function(Module& module, std::shared_ptr<KernelCode> code) : module_(module), code_(std::move(code)) {}

  Module& module() const { return module_; }
  KernelCode& code() const { return *code_; }
  const std::shared_ptr<KernelCode>& sharedCode() const { return code_; }
  CUfunction handle() const { return handle_; }
  void setHandle(CUfunction handle) { handle_ = handle; }

  FunctionAttributes& attributes() { return attributes_; }
  CUresult attribute(CUfunction_attribute attribute, int* value) {
    return attributes_.get(*code_, attribute, value);
  }
  std::atomic<int> cacheConfig{CU_FUNC_CACHE_PREFER_NONE};

 private:
  Module& module_;
  const std::shared_ptr<KernelCode> code_;
  CUfunction handle_ = nullptr;
  FunctionAttributes attributes_;
};

class Module {
 public:
  Module(Context& context, std::shared_ptr<ModuleCode> code) : context_(context), code_(std::move(code)) {}
  ~Module();

  // Places and initialises the variables. Before anything else; fails when memory does.
  Failure place();

  Context& context() const { return context_; }
  CUmodule handle() const { return handle_; }
  void setHandle(CUmodule handle) { handle_ = handle; }
  const ModuleCode& code() const { return *code_; }
  CUfunction function(std::string_view name);
  std::vector<CUfunction> functions();
  // A .global or .const variable by name.
  bool variable(std::string_view name, CUdeviceptr* address, size_t* sizeBytes, bool managedOnly = false);

  void* const* symbols() const { return symbols_.data(); }
  uintptr_t constantBegin() const { return constantBegin_; }
  uintptr_t constantEnd() const { return constantEnd_; }

 private:
  bool placeBank(bool constant);
  bool placeManaged();
  void initialise(uint32_t index);
  void relocate(const ptx::Variable& variable, std::byte* begin);

  Context& context_;
  const std::shared_ptr<ModuleCode> code_;
  CUmodule handle_ = nullptr;
  std::vector<void*> symbols_;
  std::vector<std::shared_ptr<Allocation>> memory_;
  uintptr_t constantBegin_ = 0, constantEnd_ = 0;
  std::mutex mutex_;
  std::map<std::string, CUfunction, std::less<>> functions_;
};

}  // namespace vgpu::cpu
