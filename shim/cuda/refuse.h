// How libcuda says no to what it does not support: an error for the program and, once, a line that names the
// call. Any thread of the guest.
#pragma once

#include "protocol/abi/cuda.h"

namespace vgpu::shim {

// CUDA_ERROR_NOT_SUPPORTED. Both texts are literals; `belongsTo` names the feature that the call would need.
CUresult refuse(const char* call, const char* belongsTo);

}  // namespace vgpu::shim
