#include "cpu_driver/runtime/context.h"

#include "cpu_driver/api/entry.h"
#include "cpu_driver/runtime/device.h"

using namespace vgpu::cpu;

namespace {

constexpr unsigned kKnownFlags = CU_CTX_FLAGS_MASK;

CUresult create(CUcontext* context, unsigned flags, CUdevice device) {
  return withDriver([&] {
    if (!context || (flags & ~kKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    *context = driver().createContext(flags);
    if (!*context) return CUDA_ERROR_OUT_OF_MEMORY;
    threadState().push(*context);
    return CUDA_SUCCESS;
  });
}

CUresult waitFor(Context& context) {
  if (driver().captures().any()) {
    if (const CUresult refused = driver().captures().refuseUnsafe(); refused != CUDA_SUCCESS) return refused;
    if (const CUresult refused = driver().captures().refuseContextWait(context); refused != CUDA_SUCCESS)
      return refused;
  }
  context.synchronize();
  context.output().deliver();
  return context.surface();
}

// The context named, or the current one for null.
template <class Body>
CUresult withNamed(CUcontext handle, Body&& body) {
  if (!handle) return withContext(body);
  return withDriver([&]() -> CUresult {
    Context* context = driver().findContext(handle);
    return context ? body(*context) : CUDA_ERROR_INVALID_CONTEXT;
  });
}

}  // namespace

extern "C" {

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  return withDriver([&] {
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    return device == 0 ? driver().retainPrimary(context) : CUDA_ERROR_INVALID_DEVICE;
  });
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return withDriver([&] { return device == 0 ? driver().releasePrimary() : CUDA_ERROR_INVALID_DEVICE; });
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return cuDevicePrimaryCtxRelease_v2(device); }

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return withDriver([&] { return device == 0 ? driver().resetPrimary() : CUDA_ERROR_INVALID_DEVICE; });
}
CUresult cuDevicePrimaryCtxReset(CUdevice device) { return cuDevicePrimaryCtxReset_v2(device); }

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return withDriver([&] {
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    if ((flags & ~kKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    return driver().setPrimaryFlags(flags);
  });
}
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
  return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  return withDriver([&] {
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    if (!flags || !active) return CUDA_ERROR_INVALID_VALUE;
    bool isActive = false;
    driver().primaryState(flags, &isActive);
    *active = isActive ? 1 : 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxCreate_v2(CUcontext* context, unsigned flags, CUdevice device) {
  return create(context, flags, device);
}

CUresult cuCtxCreate_v3(CUcontext* context, CUexecAffinityParam*, int parameters, unsigned flags,
                        CUdevice device) {
  // A share of the multiprocessors (cuDeviceGetExecAffinitySupport says 0).
  if (parameters != 0) return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
  return create(context, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext* context, CUctxCreateParams* parameters, unsigned flags, CUdevice device) {
  if (parameters && parameters->numExecAffinityParams != 0) return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
  if (parameters && parameters->cigParams) return CUDA_ERROR_NOT_SUPPORTED;
  return create(context, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext context) {
  return withDriver([&] {
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    const CUresult result = driver().destroyContext(context);
    // "If ctx is current to the calling thread then ctx will also be popped from the current thread's stack."
    if (result == CUDA_SUCCESS && threadState().current() == context) threadState().pop(&context);
    return result;
  });
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  return withDriver([&] {
    if (!driver().findContext(context)) return CUDA_ERROR_INVALID_CONTEXT;
    threadState().push(context);
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  return withDriver([&] {
    CUcontext popped = nullptr;
    if (!threadState().pop(&popped)) return CUDA_ERROR_INVALID_CONTEXT;
    if (context) *context = popped;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSetCurrent(CUcontext context) {
  return withDriver([&] {
    if (context && !driver().findContext(context)) return CUDA_ERROR_INVALID_CONTEXT;
    threadState().setCurrent(context);
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  return withDriver([&] {
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    *context = threadState().current();
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetDevice(CUdevice* device) { return cuCtxGetDevice_v2(device, nullptr); }

CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext context) {
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  return withNamed(context, [&](Context&) {
    *device = 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetFlags(unsigned* flags) {
  return withContext([&](Context& context) {
    if (!flags) return CUDA_ERROR_INVALID_VALUE;
    *flags = context.flags();
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSetFlags(unsigned flags) {
  return withContext([&](Context& context) {
    if ((flags & ~kKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    context.setFlags(flags);
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long* id) {
  if (!id) return CUDA_ERROR_INVALID_VALUE;
  return withNamed(handle, [&](Context& context) {
    *id = context.id();
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSynchronize() { return withContext(waitFor); }
CUresult cuCtxSynchronize_v2(CUcontext context) { return withNamed(context, waitFor); }

CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  return withContext([&](Context& context) { return context.setLimit(limit, value); });
}

CUresult cuCtxGetLimit(size_t* value, CUlimit limit) {
  return withContext(
      [&](Context& context) { return value ? context.limit(limit, value) : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuCtxGetCacheConfig(CUfunc_cache* config) {
  return withContext([&](Context& context) {
    if (!config) return CUDA_ERROR_INVALID_VALUE;
    *config = static_cast<CUfunc_cache>(context.cacheConfig.load());
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config) {
  return withContext([&](Context& context) {
    if (config < CU_FUNC_CACHE_PREFER_NONE || config > CU_FUNC_CACHE_PREFER_EQUAL)
      return CUDA_ERROR_INVALID_VALUE;
    context.cacheConfig = config;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig* config) {
  return withContext([&](Context& context) {
    if (!config) return CUDA_ERROR_INVALID_VALUE;
    *config = static_cast<CUsharedconfig>(context.sharedConfig.load());
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config) {
  return withContext([&](Context& context) {
    if (config < CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE ||
        config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    context.sharedConfig = config;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned* version) {
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  return withNamed(handle, [&](Context&) {
    // The interface of cuCtxCreate_v2, as the vendor's driver answers for every context made since CUDA 3.2.
    *version = 3020;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return withContext([&](Context&) {
    if (least) *least = kLeastPriority;
    if (greatest) *greatest = kGreatestPriority;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxResetPersistingL2Cache() {
  return withContext([](Context&) { return CUDA_ERROR_NOT_SUPPORTED; });
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam*, CUexecAffinityType) {
  return withContext([](Context&) { return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY; });
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned) {
  return withContext([&](Context&) {
    // One device: there is no peer, also not another context on it.
    return driver().findContext(peer) ? CUDA_ERROR_PEER_ACCESS_UNSUPPORTED : CUDA_ERROR_INVALID_CONTEXT;
  });
}

CUresult cuCtxDisablePeerAccess(CUcontext peer) {
  return withContext([&](Context&) {
    return driver().findContext(peer) ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED : CUDA_ERROR_INVALID_CONTEXT;
  });
}

}  // extern "C"
