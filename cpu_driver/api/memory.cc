#include "cpu_driver/runtime/memory.h"

#include <limits>

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

constexpr unsigned kHostAllocFlags =
    CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
constexpr unsigned kRegisterFlags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
                                    CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY;

// Rows of a pitched allocation begin at multiples of the texture alignment.
constexpr size_t kPitchAlignment = 512;

CUresult allocateHost(Context& context, void** pointer, size_t bytes, unsigned flags) {
  if (!pointer) return CUDA_ERROR_INVALID_VALUE;
  CUdeviceptr address = 0;
  const CUresult result = driver().memory().allocate(context, bytes, MemoryKind::Host, flags, &address);
  if (result == CUDA_SUCCESS) *pointer = reinterpret_cast<void*>(address);
  return result;
}

// Freeing waits for what may still use the memory, as the vendor's driver does.
CUresult freeDevice(Context& context, CUdeviceptr address) {
  if (!address) return CUDA_SUCCESS;
  const auto allocation = driver().memory().addresses().find(address);
  if (!allocation || allocation->base != address) return CUDA_ERROR_INVALID_VALUE;
  const MemoryKind kind = allocation->kind;
  if (kind != MemoryKind::Device && kind != MemoryKind::Managed && kind != MemoryKind::Pool)
    return CUDA_ERROR_INVALID_VALUE;
  if (allocation->freeing.exchange(true)) return CUDA_ERROR_INVALID_VALUE;
  Context* owner = driver().findContext(allocation->context);
  if (owner && owner != &context) owner->synchronize();
  context.synchronize();
  driver().pools().releaseNow(allocation);
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  return withContext([&](Context&) {
    if (free) *free = driver().memory().freeBytes();
    if (total) *total = driver().memory().limitBytes();
    return CUDA_SUCCESS;
  });
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  return withContextUncaptured([&](Context& context) {
    if (!address) return CUDA_ERROR_INVALID_VALUE;
    return driver().memory().allocate(context, bytes, MemoryKind::Device, 0, address);
  });
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* address, size_t* pitch, size_t width, size_t height,
                            unsigned elementBytes) {
  return withContextUncaptured([&](Context& context) {
    if (!address || !pitch || width == 0 || height == 0) return CUDA_ERROR_INVALID_VALUE;
    if (elementBytes != 4 && elementBytes != 8 && elementBytes != 16) return CUDA_ERROR_INVALID_VALUE;
    if (width > std::numeric_limits<size_t>::max() / 2) return CUDA_ERROR_OUT_OF_MEMORY;
    const size_t row = (width + kPitchAlignment - 1) & ~(kPitchAlignment - 1);
    if (row > std::numeric_limits<size_t>::max() / height) return CUDA_ERROR_OUT_OF_MEMORY;
    const CUresult result = driver().memory().allocate(context, row * height, MemoryKind::Device, 0, address);
    if (result == CUDA_SUCCESS) *pitch = row;
    return result;
  });
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  return withContextUncaptured([&](Context& context) { return freeDevice(context, address); });
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
  return withContext([&](Context&) {
    const auto allocation = driver().memory().addresses().find(address);
    if (!allocation) return CUDA_ERROR_NOT_FOUND;
    if (base) *base = allocation->base;
    if (bytes) *bytes = allocation->sizeBytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemAllocHost_v2(void** pointer, size_t bytes) {
  return withContextUncaptured([&](Context& context) { return allocateHost(context, pointer, bytes, 0); });
}

CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  return withContextUncaptured([&](Context& context) {
    if ((flags & ~kHostAllocFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    return allocateHost(context, pointer, bytes, flags);
  });
}

CUresult cuMemFreeHost(void* pointer) {
  return withContextUncaptured([&](Context& context) {
    const auto allocation = driver().memory().addresses().find(reinterpret_cast<uintptr_t>(pointer));
    if (!allocation || allocation->kind != MemoryKind::Host) return CUDA_ERROR_INVALID_VALUE;
    if (allocation->base != reinterpret_cast<uintptr_t>(pointer)) return CUDA_ERROR_INVALID_VALUE;
    context.synchronize();
    driver().memory().release(allocation);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned flags) {
  return withContextUncaptured([&](Context& context) {
    if ((flags & ~kRegisterFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    return driver().memory().registerHost(context, pointer, bytes, flags);
  });
}
CUresult cuMemHostRegister(void* pointer, size_t bytes, unsigned flags) {
  return cuMemHostRegister_v2(pointer, bytes, flags);
}

CUresult cuMemHostUnregister(void* pointer) {
  return withContextUncaptured([&](Context& context) {
    context.synchronize();
    return driver().memory().unregisterHost(pointer);
  });
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* pointer, unsigned flags) {
  return withContext([&](Context&) {
    if (!address || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    const auto allocation = driver().memory().addresses().find(reinterpret_cast<uintptr_t>(pointer));
    if (!allocation || !allocation->onHost()) return CUDA_ERROR_INVALID_VALUE;
    *address = reinterpret_cast<CUdeviceptr>(pointer);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostGetFlags(unsigned* flags, void* pointer) {
  return withContext([&](Context&) {
    const auto allocation = driver().memory().addresses().find(reinterpret_cast<uintptr_t>(pointer));
    if (!flags || !allocation || !allocation->onHost()) return CUDA_ERROR_INVALID_VALUE;
    *flags = allocation->flags;
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
