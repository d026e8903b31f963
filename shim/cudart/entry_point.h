// Any thread.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart {

// The driver's function of that name whose ABI is the newest not newer than `version`; flags as
// cuGetProcAddress's.
cudaError_t driverEntryPoint(const char* symbol, void** function, int version, unsigned long long flags,
                             cudaDriverEntryPointQueryResult* status);

}  // namespace vgpu::cudart
