// Memory pools. A cudaMemPool_t is the driver's handle, and the structures of both are the same.
#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

static_assert(sizeof(cudaMemPoolProps) == sizeof(CUmemPoolProps));
static_assert(sizeof(cudaMemAccessDesc) == sizeof(CUmemAccessDesc));
static_assert(sizeof(cudaMemLocation) == sizeof(CUmemLocation));

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return onDevice(device, [&](CUdevice handle) { return driver::cuDeviceGetDefaultMemPool(pool, handle); });
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return onDevice(device, [&](CUdevice handle) { return driver::cuDeviceGetMemPool(pool, handle); });
}

cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t pool) {
  return onDevice(device, [&](CUdevice handle) { return driver::cuDeviceSetMemPool(handle, pool); });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  return onContext(
      [&] { return driver::cuMemPoolCreate(pool, reinterpret_cast<const CUmemPoolProps*>(properties)); });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  return onContext([&] { return driver::cuMemPoolDestroy(pool); });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keepBytes) {
  return onContext([&] { return driver::cuMemPoolTrimTo(pool, keepBytes); });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return onContext([&] {
    return driver::cuMemPoolGetAttribute(pool, static_cast<CUmemPool_attribute>(attribute), value);
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return onContext([&] {
    return driver::cuMemPoolSetAttribute(pool, static_cast<CUmemPool_attribute>(attribute), value);
  });
}

cudaError_t cudaMemPoolGetAccess(cudaMemAccessFlags* flags, cudaMemPool_t pool, cudaMemLocation* location) {
  return onContext([&] {
    return driver::cuMemPoolGetAccess(reinterpret_cast<CUmemAccess_flags*>(flags), pool,
                                      reinterpret_cast<CUmemLocation*>(location));
  });
}

cudaError_t cudaMemPoolSetAccess(cudaMemPool_t pool, const cudaMemAccessDesc* access, size_t count) {
  return onContext([&] {
    return driver::cuMemPoolSetAccess(pool, reinterpret_cast<const CUmemAccessDesc*>(access), count);
  });
}

}  // extern "C"
