#include "cpu_driver/runtime/memory_pool.h"

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

MemoryPools& pools() { return driver().pools(); }

// In a capture, allocation and release would be nodes of the graph.
CUresult refuseCaptured(const Stream& stream) {
  return driver().captures().any() ? driver().captures().refuseWait(stream) : CUDA_SUCCESS;
}

CUresult allocate(CUdeviceptr* address, size_t bytes, CUmemoryPool pool, CUstream handle) {
  return withStream(handle, [&](Context&, Stream& stream) -> CUresult {
    if (!address) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult refused = refuseCaptured(stream); refused != CUDA_SUCCESS) return refused;
    return pools().allocate(stream, pool ? pool : pools().current(), bytes, address);
  });
}

bool isThisDevice(const CUmemLocation* location) {
  return location && location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id == 0;
}

}  // namespace

extern "C" {

CUresult cuMemAllocAsync(CUdeviceptr* address, size_t bytes, CUstream stream) {
  return allocate(address, bytes, nullptr, stream);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr* address, size_t bytes, CUmemoryPool pool, CUstream stream) {
  if (!pool) return CUDA_ERROR_INVALID_VALUE;
  return allocate(address, bytes, pool, stream);
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
  return withStream(handle, [&](Context&, Stream& stream) -> CUresult {
    if (!address) return CUDA_SUCCESS;
    if (const CUresult refused = refuseCaptured(stream); refused != CUDA_SUCCESS) return refused;
    return pools().release(stream, address);
  });
}

CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps* properties) {
  return withDriver(
      [&] { return pool && properties ? pools().create(pool, *properties) : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMemPoolDestroy(CUmemoryPool pool) {
  return withDriver([&] { return pools().destroy(pool); });
}

// Nothing is kept beyond what is in use, so there is nothing to trim.
CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t) {
  return withDriver([&] { return pools().known(pool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) {
  return withDriver([&] { return pools().setAttribute(pool, attribute, value); });
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) {
  return withDriver([&] { return pools().attribute(pool, attribute, value); });
}

CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc* map, size_t count) {
  return withDriver([&] {
    if (!pools().known(pool) || (count != 0 && !map)) return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; ++i) {
      // The only device always has access, which cannot be taken from it.
      if (!isThisDevice(&map[i].location)) return CUDA_ERROR_INVALID_DEVICE;
      if (map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE) return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags* flags, CUmemoryPool pool, CUmemLocation* location) {
  return withDriver([&] {
    if (!flags || !pools().known(pool)) return CUDA_ERROR_INVALID_VALUE;
    if (!isThisDevice(location)) return CUDA_ERROR_INVALID_DEVICE;
    *flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool* pool, CUmemLocation* location, CUmemAllocationType type) {
  return withDriver([&] {
    if (!pool || type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
    if (!isThisDevice(location)) return CUDA_ERROR_NOT_SUPPORTED;
    *pool = pools().defaultPool();
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetMemPool(CUmemoryPool* pool, CUmemLocation* location, CUmemAllocationType type) {
  return withDriver([&] {
    if (!pool || type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
    if (!isThisDevice(location)) return CUDA_ERROR_NOT_SUPPORTED;
    *pool = pools().current();
    return CUDA_SUCCESS;
  });
}

CUresult cuMemSetMemPool(CUmemLocation* location, CUmemAllocationType type, CUmemoryPool pool) {
  return withDriver([&] {
    if (type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
    return isThisDevice(location) ? pools().setCurrent(pool) : CUDA_ERROR_NOT_SUPPORTED;
  });
}

}  // extern "C"
