// Texture fetches and surface accesses of kernels, on worker threads. The handle and the coordinates come
// from the kernel and may be anything; a handle that is none ends the launch like a wild access.
#pragma once

#include "cpu_driver/kernel/abi.h"

namespace vgpu::cpu {

kernel::Registers4 textureOperation(kernel::LaunchContext* launch, uint64_t handle, uint64_t operation,
                                    kernel::Registers4 coordinates, kernel::Registers4 extra);

}  // namespace vgpu::cpu
