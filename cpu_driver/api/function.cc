#include "cpu_driver/api/entry.h"
#include "cpu_driver/api/find_function.h"
#include "cpu_driver/runtime/module.h"

using namespace vgpu::cpu;

namespace {

template <class Body>
CUresult withFunction(CUfunction handle, Body&& body) {
  return withContext([&](Context& context) -> CUresult {
    CUresult error = CUDA_SUCCESS;
    Function* function = findFunction(context, handle, &error);
    return function ? body(*function) : error;
  });
}

}  // namespace

extern "C" {

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction handle) {
  return withFunction(handle, [&](Function& function) {
    return value ? function.attribute(attribute, value) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  return withFunction(handle, [&](Function& function) {
    return function.attributes().set(function.code(), attribute, value);
  });
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config) {
  return withFunction(handle, [&](Function& function) {
    if (config < CU_FUNC_CACHE_PREFER_NONE || config > CU_FUNC_CACHE_PREFER_EQUAL)
      return CUDA_ERROR_INVALID_VALUE;
    function.cacheConfig = config;
    return CUDA_SUCCESS;
  });
}

CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config) {
  return withFunction(handle, [&](Function&) {
    if (config < CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE ||
        config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    // A hint about banks, which this memory does not have.
    return CUDA_SUCCESS;
  });
}

CUresult cuFuncGetModule(CUmodule* module, CUfunction handle) {
  return withFunction(handle, [&](Function& function) {
    if (!module) return CUDA_ERROR_INVALID_VALUE;
    *module = function.module().handle();
    return CUDA_SUCCESS;
  });
}

CUresult cuFuncGetName(const char** name, CUfunction handle) {
  return withFunction(handle, [&](Function& function) {
    if (!name) return CUDA_ERROR_INVALID_VALUE;
    *name = function.code().name();
    return CUDA_SUCCESS;
  });
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t* offset, size_t* bytes) {
  return withFunction(handle, [&](Function& function) {
    const auto& parameters = function.code().parameters();
    if (!offset || index >= parameters.size()) return CUDA_ERROR_INVALID_VALUE;
    *offset = parameters[index].offset;
    if (bytes) *bytes = parameters[index].sizeBytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState* state, CUfunction handle) {
  return withFunction(handle, [&](Function& function) {
    if (!state) return CUDA_ERROR_INVALID_VALUE;
    *state =
        function.code().isLoaded() ? CU_FUNCTION_LOADING_STATE_LOADED : CU_FUNCTION_LOADING_STATE_UNLOADED;
    return CUDA_SUCCESS;
  });
}

// Which machine code a kernel gets depends on the block's shape; loading it ahead checks that it can be had.
CUresult cuFuncLoad(CUfunction handle) {
  return withFunction(handle, [&](Function& function) { return function.code().load().code; });
}

}  // extern "C"
