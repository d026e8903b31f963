// Pointer attributes: all from the guest's own map.
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/refuse.h"

namespace vgpu::shim {
namespace {

CUmemorytype typeOf(const Allocation& allocation) {
  return allocation.kind == MemoryKind::Pinned || allocation.kind == MemoryKind::Registered
             ? CU_MEMORYTYPE_HOST
             : CU_MEMORYTYPE_DEVICE;
}

template <class T>
CUresult answer(void* out, T value) {
  std::memcpy(out, &value, sizeof(T));
  return CUDA_SUCCESS;
}

CUresult hostPointer(const Allocation& allocation, uint64_t address, void* out) {
  if (!allocation.hostVisible()) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t offset = address - (onHostSide(allocation, address) ? allocation.host : allocation.address);
  return answer(out, allocation.host + offset);
}

CUresult attributeOf(const Allocation& allocation, uint64_t address, CUpointer_attribute attribute,
                     void* out) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return answer(out, allocation.context ? allocation.context->handle.bits() : 0);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return answer(out, static_cast<unsigned>(typeOf(allocation)));
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return answer(out, deviceSide(allocation, address));
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      return hostPointer(allocation, address, out);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      return answer(out, allocation.id);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return answer(out, static_cast<unsigned>(allocation.kind == MemoryKind::Managed));
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return answer(out, allocation.device);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      return answer(out, 0);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      return answer(out, allocation.address);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      return answer(out, allocation.sizeBytes);
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return answer(out, 1u);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      return answer(out, uint64_t{0});
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
      return answer(out, 0u);
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
      return answer(out, 0u);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return answer(out, static_cast<unsigned>(CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE));
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return answer(out, reinterpret_cast<CUmemoryPool>(allocation.pool));
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

// Of a pointer that CUDA does not know, cuPointerGetAttributes writes zeros and succeeds.
CUresult attributeOfUnknown(CUpointer_attribute attribute, void* out) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return answer(out, -2);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return answer(out, 0u);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
      return answer(out, 0);
    default:
      return answer(out, uint64_t{0});
  }
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;

VGPU_EXPORT CUresult cuPointerGetAttribute(void* out, CUpointer_attribute attribute, CUdeviceptr address) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  const auto allocation = session->allocations().find(address);
  return allocation ? attributeOf(*allocation, address, attribute, out) : CUDA_ERROR_INVALID_VALUE;
}

VGPU_EXPORT CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute* attributes, void** out,
                                            CUdeviceptr address) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  if (!attributes || !out) return CUDA_ERROR_INVALID_VALUE;
  const auto allocation = session->allocations().find(address);
  for (unsigned i = 0; i < count; ++i) {
    if (!out[i]) return CUDA_ERROR_INVALID_VALUE;
    const CUresult status =
        allocation ? attributeOf(*allocation, address, attributes[i], out[i]) : CUDA_ERROR_INVALID_VALUE;
    if (status != CUDA_SUCCESS) attributeOfUnknown(attributes[i], out[i]);
  }
  return CUDA_SUCCESS;
}

// Every synchronous copy of ours is synchronous already where it touches host memory.
VGPU_EXPORT CUresult cuPointerSetAttribute(const void* value, CUpointer_attribute attribute,
                                           CUdeviceptr address) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  if (!value || !session->allocations().find(address)) return CUDA_ERROR_INVALID_VALUE;
  return attribute == CU_POINTER_ATTRIBUTE_SYNC_MEMOPS
             ? refuse("cuPointerSetAttribute of CU_POINTER_ATTRIBUTE_SYNC_MEMOPS", "memory of other devices")
             : CUDA_ERROR_INVALID_VALUE;
}

static CUresult rangeAttribute(void* out, size_t outBytes, CUmem_range_attribute attribute,
                               CUdeviceptr address, size_t count) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  const auto allocation = session->allocations().find(address);
  if (!allocation || !allocation->advice || !session->allocations().covers(address, count))
    return CUDA_ERROR_INVALID_VALUE;
  return allocation->advice->attribute(attribute, out, outBytes);
}
VGPU_EXPORT CUresult cuMemRangeGetAttribute(void* out, size_t outBytes, CUmem_range_attribute attribute,
                                            CUdeviceptr address, size_t count) {
  return rangeAttribute(out, outBytes, attribute, address, count);
}
VGPU_EXPORT CUresult cuMemRangeGetAttributes(void** out, size_t* outBytes, CUmem_range_attribute* attributes,
                                             size_t attributeCount, CUdeviceptr address, size_t count) {
  if (!out || !outBytes || !attributes || attributeCount == 0) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < attributeCount; ++i) {
    const CUresult status = rangeAttribute(out[i], outBytes[i], attributes[i], address, count);
    if (status != CUDA_SUCCESS) return status;
  }
  return CUDA_SUCCESS;
}
