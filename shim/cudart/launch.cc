#include "shim/cudart/launch.h"

#include <atomic>

#include "shim/cudart/driver.h"
#include "shim/cudart/registry.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

std::atomic<cudaError_t> lastKernelError{cudaErrorInvalidDeviceFunction};

bool within(unsigned value, CUdevice_attribute limit, CUdevice device) {
  int most = 0;
  if (driver::cuDeviceGetAttribute(&most, limit, device) != CUDA_SUCCESS) return true;
  return value >= 1 && value <= static_cast<unsigned>(most);
}

bool possible(dim3 grid, dim3 block) {
  CUdevice device = 0;
  if (driver::cuCtxGetDevice(&device) != CUDA_SUCCESS) return true;
  unsigned long long threads = 1ULL * block.x * block.y * block.z;
  return within(grid.x, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, device) &&
         within(grid.y, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, device) &&
         within(grid.z, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, device) &&
         within(block.x, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, device) &&
         within(block.y, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, device) &&
         within(block.z, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, device) && threads <= ~0U &&
         within(static_cast<unsigned>(threads), CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, device);
}

}  // namespace

cudaError_t launchError(CUresult result, dim3 grid, dim3 block) {
  if (result == CUDA_ERROR_INVALID_VALUE && !possible(grid, block)) return cudaErrorInvalidConfiguration;
  return toRuntime(result);
}

void keepKernelError(cudaError_t error) { lastKernelError.store(error); }

cudaError_t kernelError() { return lastKernelError.load(); }

}  // namespace vgpu::cudart

VGPU_EXPORT cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  using namespace vgpu::cudart;
  cudaError_t error = onContext([&] { return registry.kernel(function, kernel); });
  if (error != cudaSuccess) keepKernelError(error);
  return error;
}
