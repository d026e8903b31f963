// Kernels as objects: attributes, parameters, handles, occupancy.
#include <cstring>

#include "shim/cudart/driver.h"
#include "shim/cudart/registry.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

cudaError_t onFunction(const void* function, auto body) {
  return onContext([&] {
    CUfunction handle = nullptr;
    cudaError_t error = registry.function(function, &handle);
    return error != cudaSuccess ? error : toRuntime(body(handle));
  });
}

cudaError_t onKernel(const void* function, auto body) {
  return onContext([&] {
    CUkernel handle = nullptr;
    cudaError_t error = registry.kernel(function, &handle);
    return error != cudaSuccess ? error : toRuntime(body(handle));
  });
}

int attribute(CUfunction function, CUfunction_attribute which) {
  int value = 0;
  return driver::cuFuncGetAttribute(&value, which, function) == CUDA_SUCCESS ? value : 0;
}

CUresult describe(CUfunction function, cudaFuncAttributes* attributes) {
  if (attributes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::memset(attributes, 0, sizeof *attributes);
  // The first one also says whether the function can be asked at all.
  CUresult result = driver::cuFuncGetAttribute(&attributes->maxThreadsPerBlock,
                                               CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function);
  if (result != CUDA_SUCCESS) return result;
  auto bytes = [&](CUfunction_attribute which) { return static_cast<size_t>(attribute(function, which)); };
  attributes->sharedSizeBytes = bytes(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
  attributes->constSizeBytes = bytes(CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES);
  attributes->localSizeBytes = bytes(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
  attributes->numRegs = attribute(function, CU_FUNC_ATTRIBUTE_NUM_REGS);
  attributes->ptxVersion = attribute(function, CU_FUNC_ATTRIBUTE_PTX_VERSION);
  attributes->binaryVersion = attribute(function, CU_FUNC_ATTRIBUTE_BINARY_VERSION);
  attributes->cacheModeCA = attribute(function, CU_FUNC_ATTRIBUTE_CACHE_MODE_CA);
  attributes->maxDynamicSharedSizeBytes =
      attribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
  attributes->preferredShmemCarveout =
      attribute(function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT);
  attributes->clusterDimMustBeSet = attribute(function, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET);
  attributes->requiredClusterWidth = attribute(function, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH);
  attributes->requiredClusterHeight = attribute(function, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT);
  attributes->requiredClusterDepth = attribute(function, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH);
  attributes->clusterSchedulingPolicyPreference =
      attribute(function, CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE);
  attributes->nonPortableClusterSizeAllowed =
      attribute(function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
  return CUDA_SUCCESS;
}

cudaError_t activeBlocks(int* blocks, const void* function, int blockSize, size_t sharedBytes,
                         unsigned flags) {
  return onFunction(function, [&](CUfunction handle) {
    return driver::cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, handle, blockSize,
                                                                        sharedBytes, flags);
  });
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  return onFunction(function, [&](CUfunction handle) { return describe(handle, attributes); });
}

// Set for both handles: launches go by the kernel, queries by its function in this context.
cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  return onContext([&] {
    CUkernel kernel = nullptr;
    CUfunction handle = nullptr;
    CUdevice device = 0;
    auto which = static_cast<CUfunction_attribute>(attribute);
    if (cudaError_t error = registry.kernel(function, &kernel); error != cudaSuccess) return error;
    if (cudaError_t error = registry.function(function, &handle); error != cudaSuccess) return error;
    CUresult result = driver::cuCtxGetDevice(&device);
    if (result == CUDA_SUCCESS) result = driver::cuFuncSetAttribute(handle, which, value);
    if (result == CUDA_SUCCESS) result = driver::cuKernelSetAttribute(which, value, kernel, device);
    return toRuntime(result);
  });
}

cudaError_t cudaFuncSetCacheConfig(const void* function, cudaFuncCache config) {
  return onFunction(function, [&](CUfunction handle) {
    return driver::cuFuncSetCacheConfig(handle, static_cast<CUfunc_cache>(config));
  });
}

cudaError_t cudaFuncSetSharedMemConfig(const void* function, cudaSharedMemConfig config) {
  return onFunction(function, [&](CUfunction handle) {
    return driver::cuFuncSetSharedMemConfig(handle, static_cast<CUsharedconfig>(config));
  });
}

cudaError_t cudaFuncGetName(const char** name, const void* function) {
  return onKernel(function, [&](CUkernel kernel) { return driver::cuKernelGetName(name, kernel); });
}

cudaError_t cudaFuncGetParamInfo(const void* function, size_t index, size_t* offset, size_t* size) {
  return onKernel(function,
                  [&](CUkernel kernel) { return driver::cuKernelGetParamInfo(kernel, index, offset, size); });
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t* function, const void* symbol) {
  return onContext(
      [&] { return function == nullptr ? cudaErrorInvalidValue : registry.function(symbol, function); });
}

cudaError_t cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  return onContext(
      [&] { return kernel == nullptr ? cudaErrorInvalidValue : registry.kernel(function, kernel); });
}

cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t kernel, cudaFuncAttribute attribute, int value,
                                            int device) {
  return onContext([&] {
    CUdevice handle = 0;
    cudaError_t error = deviceHandle(device, &handle);
    if (error != cudaSuccess) return error;
    return toRuntime(
        driver::cuKernelSetAttribute(static_cast<CUfunction_attribute>(attribute), value, kernel, handle));
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function, int blockSize,
                                                          size_t sharedBytes) {
  return activeBlocks(blocks, function, blockSize, sharedBytes, cudaOccupancyDefault);
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* function,
                                                                   int blockSize, size_t sharedBytes,
                                                                   unsigned int flags) {
  return activeBlocks(blocks, function, blockSize, sharedBytes, flags);
}

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, const void* function, int blocks,
                                                      int blockSize) {
  return onFunction(function, [&](CUfunction handle) {
    return driver::cuOccupancyAvailableDynamicSMemPerBlock(bytes, handle, blocks, blockSize);
  });
}

}  // extern "C"
