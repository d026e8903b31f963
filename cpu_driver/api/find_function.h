// A function by its handle; a library's kernel stands for its function in the context, wherever a function is
// taken.
#pragma once

#include "cpu_driver/api/entry.h"

namespace vgpu::cpu {

inline Function* findFunction(Context& context, CUfunction handle, CUresult* error) {
  if (Function* function = driver().functions.find(handle)) return function;
  *error = CUDA_ERROR_INVALID_HANDLE;
  Kernel* kernel = driver().kernels.find(reinterpret_cast<CUkernel>(handle));
  return kernel ? kernel->functionIn(context, error) : nullptr;
}

}  // namespace vgpu::cpu
