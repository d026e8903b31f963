// The virtual-memory family as programs use it: they reserve within the session's range, and the executor's
// driver maps.
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/refuse.h"
#include "shim/session/shared_state.h"

namespace vgpu::shim {
namespace {

constinit SharedState<std::map<uint64_t, uint64_t>> reservations;  // start -> bytes

bool withinReservation(uint64_t address, uint64_t sizeBytes) {
  const auto sizes = reservations.lock();
  const auto after = sizes->upper_bound(address);
  if (after == sizes->begin()) return false;
  const auto& [start, size] = *std::prev(after);
  return address - start < size && sizeBytes <= size - (address - start);
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;
namespace call_number = vgpu::protocol::call;

VGPU_EXPORT CUresult cuMemAddressReserve(CUdeviceptr* out, size_t sizeBytes, size_t alignment,
                                         CUdeviceptr wanted, unsigned long long flags) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  const uint64_t granularity = session->addresses().granularityBytes();
  const bool aligned = (alignment & (alignment - 1)) == 0;
  if (!out || sizeBytes == 0 || sizeBytes % granularity != 0 || !aligned || flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  // A wanted address is a hint (cuda.h).
  std::optional<uint64_t> address;
  if (wanted && session->addresses().allocateAt(wanted, sizeBytes)) address = wanted;
  if (!address) address = session->addresses().allocate(sizeBytes, alignment);
  if (!address) return CUDA_ERROR_OUT_OF_MEMORY;
  (*reservations.lock())[*address] = sizeBytes;
  *out = *address;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemAddressFree(CUdeviceptr address, size_t sizeBytes) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  if (session->allocations().overlaps(address, sizeBytes)) return CUDA_ERROR_INVALID_VALUE;  // still mapped
  const auto sizes = reservations.lock();
  const auto entry = sizes->find(address);
  if (entry == sizes->end() || entry->second != sizeBytes) return CUDA_ERROR_INVALID_VALUE;
  sizes->erase(entry);
  session->addresses().free(address, sizeBytes);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemCreate(CUmemGenericAllocationHandle* out, size_t sizeBytes,
                                 const CUmemAllocationProp* properties, unsigned long long flags) {
  if (properties && properties->requestedHandleTypes != CU_MEM_HANDLE_TYPE_NONE)
    return refuse("cuMemCreate with a handle type", "memory shared between programs");
  const CUresult status = Forward<call_number::cuMemCreate>::call(out, sizeBytes, properties, flags);
  if (status != CUDA_SUCCESS) return status;
  Physical* physical = Session::get()->physicals.find(*out);
  physical->sizeBytes = sizeBytes;
  physical->properties = *properties;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemMap(CUdeviceptr address, size_t sizeBytes, size_t offset,
                              CUmemGenericAllocationHandle handle, unsigned long long flags) {
  if (!withinReservation(address, sizeBytes) || Session::get()->allocations().overlaps(address, sizeBytes))
    return CUDA_ERROR_INVALID_VALUE;
  const CUresult status = Forward<call_number::cuMemMap>::call(address, sizeBytes, offset, handle, flags);
  if (status != CUDA_SUCCESS) return status;
  Session& session = *Session::get();
  const Physical* physical = session.physicals.find(handle);
  session.allocations().insert({.address = address,
                                .sizeBytes = sizeBytes,
                                .kind = MemoryKind::VirtualRange,
                                .device = physical ? physical->properties.location.id : 0,
                                .context = thisThread().current()});
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemUnmap(CUdeviceptr address, size_t sizeBytes) {
  const CUresult status = Forward<call_number::cuMemUnmap>::call(address, sizeBytes);
  if (status != CUDA_SUCCESS) return status;
  Session& session = *Session::get();
  for (uint64_t at = address; at < address + sizeBytes;) {
    const auto removed = session.allocations().remove(at);
    if (!removed) break;
    at += removed->sizeBytes;
  }
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemSetAccess(CUdeviceptr address, size_t sizeBytes, const CUmemAccessDesc* access,
                                    size_t count) {
  if (!access || count == 0 || !withinReservation(address, sizeBytes)) return CUDA_ERROR_INVALID_VALUE;
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  for (size_t i = 0; i < count; ++i) {
    const CUresult status = callMessage<call_number::SetAccess>(submission, {address, sizeBytes, access[i]});
    if (status != CUDA_SUCCESS) return status;
  }
  return CUDA_SUCCESS;
}
