// The driver's entry points, taken by dlopen of libcuda.so.1 when the first call needs the driver; a program
// that makes no call loads nothing. Any thread, after driver::load() has succeeded. The entries are written
// once and live as long as the process: calls come even after static destructors have run.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart::driver {

// Names, once a process, a driver entry that the loaded libcuda.so.1 does not have.
CUresult missing(const char* name);

template <class Function>
class Entry;

// A driver function, called like one. An entry that the driver lacks answers CUDA_ERROR_NOT_SUPPORTED.
template <class... Arguments>
class Entry<CUresult(Arguments...)> {
 public:
  explicit constexpr Entry(const char* name) : name_(name) {}

  CUresult operator()(Arguments... arguments) const {
    return function_ != nullptr ? function_(arguments...) : missing(name_);
  }
  bool present() const { return function_ != nullptr; }
  const char* name() const { return name_; }
  void bind(void* address) { function_ = reinterpret_cast<CUresult (*)(Arguments...)>(address); }

 private:
  CUresult (*function_)(Arguments...) = nullptr;
  const char* name_;
};

#define DRIVER(symbol) extern Entry<decltype(::symbol)> symbol;
#include "shim/cudart/driver_calls.inc"

// Opens libcuda.so.1 and binds all entries; cudaErrorInsufficientDriver where there is none. Called once,
// under the lock of the process state.
cudaError_t load();

}  // namespace vgpu::cudart::driver
