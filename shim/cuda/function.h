// Functions and kernels: resolved once, with everything a launch needs. Any thread.
#pragma once

#include "shim/session/submit.h"

namespace vgpu::shim {

CUresult getFunction(const Submission& submission, Module& module, const char* name, Function*& out);
CUresult getKernel(const Submission& submission, Library& library, const char* name, Function*& out);
// The function of a kernel in the current context.
CUresult functionOfKernel(const Submission& submission, Function& kernel, Function*& out);

inline CUfunction functionHandle(const Function& function) {
  return reinterpret_cast<CUfunction>(function.handle.bits());
}
inline CUkernel kernelHandle(const Function& kernel) {
  return reinterpret_cast<CUkernel>(kernel.handle.bits());
}

}  // namespace vgpu::shim
