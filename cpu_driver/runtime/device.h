// The one device of the driver: what it is called, what it can, and its limits. Constant after cuInit; any
// thread. Everything it says is what the driver does; where the processor has no counterpart it is what
// compute capability 9.0 says (limits on a launch), so that programs choose code that runs here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

inline constexpr const char* kDeviceName = "vgpu CPU driver (virtual H100)";
inline constexpr int kDriverVersion = CUDA_VERSION;
inline constexpr int kArchitecture = 90;

inline constexpr unsigned kMostThreadsPerBlock = 1024;
inline constexpr unsigned kMostThreadsPerMultiprocessor = 2048;
inline constexpr unsigned kMostBlocksPerMultiprocessor = 32;
inline constexpr int kSharedBytesPerBlock = 48 * 1024;
inline constexpr int kSharedBytesPerBlockOptIn = 227 * 1024;
inline constexpr int kSharedBytesPerMultiprocessor = 228 * 1024;
inline constexpr int kReservedSharedBytesPerBlock = 1024;

CUresult deviceAttribute(CUdevice_attribute attribute, int* value);
CUuuid deviceUuid();
inline constexpr const char* kPciBusId = "0000:00:00.0";

}  // namespace vgpu::cpu
