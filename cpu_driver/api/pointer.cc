// What an address is: cuPointerGetAttribute and its relatives.
#include <sys/mman.h>

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

template <class T>
CUresult store(void* data, T value) {
  *static_cast<T*>(data) = value;
  return CUDA_SUCCESS;
}

unsigned typeOf(const Allocation& allocation) {
  return allocation.onHost() ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
}

unsigned handleTypesOf(const Allocation& allocation) {
  return allocation.physical ? static_cast<unsigned>(allocation.physical->properties.requestedHandleTypes)
                             : 0u;
}

// Of memory that CUDA knows.
CUresult known(void* data, CUpointer_attribute attribute, const Allocation& allocation, CUdeviceptr address) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return store(data, allocation.context);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return store(data, typeOf(allocation));
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return store(data, address);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      // Device memory has no host pointer, although this device's memory could be reached by one.
      if (allocation.onDevice()) return CUDA_ERROR_INVALID_VALUE;
      return store(data, reinterpret_cast<void*>(address));
    case CU_POINTER_ATTRIBUTE_P2P_TOKENS:
      return CUDA_ERROR_NOT_SUPPORTED;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
      return store(data, allocation.synchronousOperations.load());
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      return store(data, static_cast<unsigned long long>(allocation.bufferId));
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return store(data, allocation.kind == MemoryKind::Managed);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return store(data, 0);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      return store(data, false);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      return store(data, static_cast<CUdeviceptr>(allocation.base));
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      return store(data, allocation.sizeBytes);
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return store(data, true);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      return store(data, handleTypesOf(allocation));
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
      return store(data, false);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return store(
          data, allocation.flags & CU_MEMHOSTREGISTER_READ_ONLY && allocation.kind == MemoryKind::Registered
                    ? CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READ
                    : CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return store(data, allocation.pool);
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
      return allocation.kind == MemoryKind::Virtual ? store(data, allocation.sizeBytes)
                                                    : CUDA_ERROR_INVALID_VALUE;
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
      return allocation.kind == MemoryKind::Virtual ? store(data, allocation.base) : CUDA_ERROR_INVALID_VALUE;
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
      return store(data, static_cast<unsigned long long>(allocation.bufferId));
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
      return store(data, false);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

// Of memory that it does not: cuPointerGetAttributes answers this instead of failing.
CUresult unknown(void* data, CUpointer_attribute attribute) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return store(data, CUcontext{nullptr});
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return store(data, 0u);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return store(data, CUdeviceptr{0});
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      return store<void*>(data, nullptr);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return store(data, CU_DEVICE_INVALID);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
      return store(data, 0ull);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
      return store(data, CUdeviceptr{0});
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
      return store(data, size_t{0});
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return store(data, 0u);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return store(data, CUmemoryPool{nullptr});
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
      return store(data, false);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace

extern "C" {

// For an executor that receives the bytes of an upload from a socket: where the processor may write this
// device memory, or null. Waits for nothing and orders nothing: the caller knows that no work is under way
// that it must follow.
__attribute__((visibility("default"))) void* vgpuCpuDriverHostAddress(CUdeviceptr address, size_t sizeBytes) {
  const auto allocation = driver().memory().addresses().find(address);
  if (!allocation || !allocation->onDevice()) return nullptr;
  if (sizeBytes > allocation->sizeBytes - (address - allocation->base)) return nullptr;
  if (allocation->kind == MemoryKind::Virtual && !(allocation->protection.load() & PROT_WRITE))
    return nullptr;
  return reinterpret_cast<void*>(address);
}

CUresult cuPointerGetAttribute(void* data, CUpointer_attribute attribute, CUdeviceptr address) {
  return withDriver([&]() -> CUresult {
    if (!data) return CUDA_ERROR_INVALID_VALUE;
    const auto allocation = driver().memory().addresses().find(address);
    return allocation ? known(data, attribute, *allocation, address) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute* attributes, void** data,
                                CUdeviceptr address) {
  return withDriver([&]() -> CUresult {
    if (!attributes || !data) return CUDA_ERROR_INVALID_VALUE;
    const auto allocation = driver().memory().addresses().find(address);
    for (unsigned i = 0; i < count; ++i) {
      if (!data[i]) return CUDA_ERROR_INVALID_VALUE;
      CUresult result =
          allocation ? known(data[i], attributes[i], *allocation, address) : CUDA_ERROR_INVALID_VALUE;
      if (result != CUDA_SUCCESS) result = unknown(data[i], attributes[i]);
      if (result != CUDA_SUCCESS) return result;
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuPointerSetAttribute(const void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  return withContext([&](Context&) {
    const auto allocation = driver().memory().addresses().find(address);
    if (!value || !allocation || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
      return CUDA_ERROR_INVALID_VALUE;
    allocation->synchronousOperations.store(*static_cast<const unsigned*>(value) != 0);
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
