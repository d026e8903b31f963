#include "shim/cudart/driver.h"

#include <dlfcn.h>

#include "shim/cudart/notice.h"

namespace vgpu::cudart::driver {

#define DRIVER(symbol) constinit Entry<decltype(::symbol)> symbol(#symbol);
#include "shim/cudart/driver_calls.inc"

CUresult missing(const char* name) {
  noticeOnce(name, "the driver does not have it");
  return CUDA_ERROR_NOT_SUPPORTED;
}

cudaError_t load() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return cudaErrorInsufficientDriver;
#define DRIVER(symbol) symbol.bind(dlsym(library, #symbol));
#include "shim/cudart/driver_calls.inc"
  return cuInit.present() ? cudaSuccess : cudaErrorInsufficientDriver;
}

}  // namespace vgpu::cudart::driver
