// Names and texts of CUDA's error codes. Any thread; the strings live for ever.
#pragma once

#include "protocol/abi/cuda.h"

namespace vgpu::protocol {

// "CUDA_ERROR_INVALID_VALUE"; null for a code that cuda.h does not have.
const char* errorName(CUresult error);
// "invalid argument"; null for a code that cuda.h does not have.
const char* errorText(CUresult error);

}  // namespace vgpu::protocol
