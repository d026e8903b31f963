// A library: code without a context. Each context that uses it gets a module of it when it first asks.
// Any thread. The driver's table owns libraries; a library owns its kernels and the modules made of it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu_driver/runtime/module.h"

namespace vgpu::cpu {

class Library;

// A kernel of a library; launched, it is the function of the current context's module.
class Kernel {
 public:
  Kernel(Library& library, std::shared_ptr<KernelCode> code) : library_(library), code_(std::move(code)) {}

  Library& library() const { return library_; }
  KernelCode& code() const { return *code_; }
  // In `context`, with the attributes that were set on the kernel by then.
  Function* functionIn(Context& context, CUresult* error);
  CUresult attribute(CUfunction_attribute attribute, int* value) {
    return attributes_.get(*code_, attribute, value);
  }
  CUresult setAttribute(CUfunction_attribute attribute, int value) {
    return attributes_.set(*code_, attribute, value);
  }

 private:
  Library& library_;
  const std::shared_ptr<KernelCode> code_;
  FunctionAttributes attributes_;
};

class Library {
 public:
  explicit Library(std::shared_ptr<ModuleCode> code) : code_(std::move(code)) {}
  ~Library();

  CUlibrary handle() const { return handle_; }
  void setHandle(CUlibrary handle) { handle_ = handle; }
  const ModuleCode& code() const { return *code_; }
  CUkernel kernel(std::string_view name);
  std::vector<CUkernel> kernels();
  CUresult moduleIn(Context& context, CUmodule* module);
  // Waits for whatever runs of it.
  void synchronize();

 private:
  const std::shared_ptr<ModuleCode> code_;
  CUlibrary handle_ = nullptr;
  std::mutex mutex_;
  std::map<std::string, CUkernel, std::less<>> kernels_;
  std::map<uint64_t, CUmodule> modules_;  // by context id
};

}  // namespace vgpu::cpu
