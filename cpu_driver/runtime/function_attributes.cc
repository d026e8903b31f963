// Attributes of functions: what the PTX says of a kernel, and what the program set.
#include <algorithm>

#include "cpu_driver/runtime/device.h"
#include "cpu_driver/runtime/module.h"

namespace vgpu::cpu {

CUresult FunctionAttributes::get(KernelCode& code, CUfunction_attribute attribute, int* value) const {
  const Failure& failure = code.resolve();
  if (failure.code == CUDA_ERROR_INVALID_PTX) return failure.code;
  const ptx::Resources& resources = code.resources();
  const ptx::Directives& directives = code.directives();
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      *value = static_cast<int>(code.mostThreads());
      break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
      *value = static_cast<int>(resources.sharedBytes);
      break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
      *value = static_cast<int>(resources.constBytes);
      break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
      *value = static_cast<int>(resources.localBytes);
      break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
      *value = static_cast<int>(resources.registers);
      break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
      *value = static_cast<int>(code.module().targetNumber());
      break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
      *value = kArchitecture;
      break;
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
      *value = 0;
      break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: {
      const int set = mostDynamicShared_.load();
      *value =
          set >= 0
              ? set
              : std::max(0, static_cast<int>(kSharedBytesPerBlock) - static_cast<int>(resources.sharedBytes));
      break;
    }
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      *value = carveout_.load();
      break;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
      *value = directives.explicitCluster ? 1 : 0;
      break;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
      *value = static_cast<int>(directives.requiredCluster[0]);
      break;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
      *value = static_cast<int>(directives.requiredCluster[1]);
      break;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
      *value = static_cast<int>(directives.requiredCluster[2]);
      break;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
      *value = nonPortableCluster_.load();
      break;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
      *value = CU_CLUSTER_SCHEDULING_POLICY_DEFAULT;
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult FunctionAttributes::set(KernelCode& code, CUfunction_attribute attribute, int value) {
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: {
      const int64_t total = int64_t{value} + code.resources().sharedBytes;
      if (value < 0 || total > kSharedBytesPerBlockOptIn) return CUDA_ERROR_INVALID_VALUE;
      mostDynamicShared_.store(value);
      return CUDA_SUCCESS;
    }
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      if (value < -1 || value > 100) return CUDA_ERROR_INVALID_VALUE;
      carveout_.store(value);
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
      if (value != 0 && value != 1) return CUDA_ERROR_INVALID_VALUE;
      nonPortableCluster_.store(value);
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
      return CUDA_ERROR_NOT_SUPPORTED;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

void FunctionAttributes::inherit(const FunctionAttributes& kernel) {
  if (const int bytes = kernel.mostDynamicShared_.load(); bytes >= 0) mostDynamicShared_.store(bytes);
  if (const int percent = kernel.carveout_.load(); percent >= 0) carveout_.store(percent);
  if (kernel.nonPortableCluster_.load() != 0) nonPortableCluster_.store(1);
}

}  // namespace vgpu::cpu
