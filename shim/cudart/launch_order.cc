// Launches. Compiled twice, as copy.cc is. The driver lays out parameters and checks limits; a kernel is
// passed as its context-independent handle, which the driver takes in place of a function.
#include <cstddef>
#include <limits>

#include "shim/cudart/default_stream.h"
#include "shim/cudart/launch.h"
#include "shim/cudart/registry.h"

namespace vgpu::cudart {
namespace {

static_assert(sizeof(cudaLaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(cudaLaunchAttribute, val) == offsetof(CUlaunchAttribute, value));

CUfunction asFunction(CUkernel kernel) { return reinterpret_cast<CUfunction>(kernel); }

bool tooMuchShared(size_t bytes) { return bytes > std::numeric_limits<unsigned>::max(); }

cudaError_t launchKernel(CUkernel kernel, dim3 grid, dim3 block, void** arguments, size_t sharedBytes,
                         cudaStream_t stream) {
  if (tooMuchShared(sharedBytes)) return cudaErrorInvalidValue;
  CUresult result =
      driver::cuLaunchKernel(asFunction(kernel), grid.x, grid.y, grid.z, block.x, block.y, block.z,
                             static_cast<unsigned>(sharedBytes), streamOf(stream), arguments, nullptr);
  return result == CUDA_SUCCESS ? cudaSuccess : launchError(result, grid, block);
}

cudaError_t launchCooperative(const void* function, dim3 grid, dim3 block, void** arguments,
                              size_t sharedBytes, cudaStream_t stream) {
  CUkernel kernel = nullptr;
  if (cudaError_t error = registry.kernel(function, &kernel); error != cudaSuccess) return error;
  if (tooMuchShared(sharedBytes)) return cudaErrorInvalidValue;
  CUresult result =
      driver::cuLaunchCooperativeKernel(asFunction(kernel), grid.x, grid.y, grid.z, block.x, block.y, block.z,
                                        static_cast<unsigned>(sharedBytes), streamOf(stream), arguments);
  return result == CUDA_SUCCESS ? cudaSuccess : launchError(result, grid, block);
}

cudaError_t launchConfigured(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  if (config == nullptr || (config->numAttrs != 0 && config->attrs == nullptr)) return cudaErrorInvalidValue;
  CUkernel kernel = nullptr;
  if (cudaError_t error = registry.kernel(function, &kernel); error != cudaSuccess) return error;
  if (tooMuchShared(config->dynamicSmemBytes)) return cudaErrorInvalidValue;
  CUlaunchConfig launch{};
  launch.gridDimX = config->gridDim.x, launch.gridDimY = config->gridDim.y,
  launch.gridDimZ = config->gridDim.z;
  launch.blockDimX = config->blockDim.x, launch.blockDimY = config->blockDim.y,
  launch.blockDimZ = config->blockDim.z;
  launch.sharedMemBytes = static_cast<unsigned>(config->dynamicSmemBytes);
  launch.hStream = streamOf(config->stream);
  launch.attrs = reinterpret_cast<CUlaunchAttribute*>(config->attrs);
  launch.numAttrs = config->numAttrs;
  CUresult result = driver::cuLaunchKernelEx(&launch, asFunction(kernel), arguments, nullptr);
  return result == CUDA_SUCCESS ? cudaSuccess : launchError(result, config->gridDim, config->blockDim);
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t sharedBytes, cudaStream_t stream) {
  return onContext([&] {
    CUkernel kernel = nullptr;
    cudaError_t error = registry.kernel(function, &kernel);
    return error != cudaSuccess ? error : launchKernel(kernel, grid, block, arguments, sharedBytes, stream);
  });
}

cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                                        size_t sharedBytes, cudaStream_t stream) {
  return onContext([&] { return launchCooperative(function, grid, block, arguments, sharedBytes, stream); });
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  return onContext([&] { return launchConfigured(config, function, arguments); });
}

}  // extern "C"

// nvcc 13's launch, with the handle that __cudaGetKernel gave; null where it gave none.
#ifdef VGPU_PER_THREAD
#define VGPU_LAUNCH_KERNEL __cudaLaunchKernel_ptsz
#else
#define VGPU_LAUNCH_KERNEL __cudaLaunchKernel
#endif
VGPU_EXPORT cudaError_t VGPU_LAUNCH_KERNEL(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                                           size_t sharedBytes, cudaStream_t stream) {
  return onContext([&] {
    return kernel == nullptr ? kernelError()
                             : launchKernel(kernel, grid, block, arguments, sharedBytes, stream);
  });
}
