// Device memory: allocation, freeing, information. The guest chooses the address, the executor places memory
// there.
#include "shim/cuda/memory.h"

#include "shim/cuda/capture.h"
#include "shim/cuda/coherence.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/pool.h"

namespace vgpu::shim {

CUresult enterAllocating(Submission& submission) {
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  return refuseWhileCapturing(submission);
}

uint64_t deviceSide(const Allocation& allocation, uint64_t address) {
  return onHostSide(allocation, address) ? allocation.address + (address - allocation.host) : address;
}

bool onHostSide(const Allocation& allocation, uint64_t address) {
  return address - allocation.address >= allocation.sizeBytes;
}

CUresult allocateDevice(const Submission& submission, uint64_t sizeBytes, CUdeviceptr* out) {
  Session& session = *submission.session;
  const auto address = session.addresses().allocate(sizeBytes);
  if (!address) return CUDA_ERROR_OUT_OF_MEMORY;
  const int device = submission.context->device;
  CUresult status = callMessage<protocol::call::MapDevice>(
      submission, {*address, session.addresses().roundUp(sizeBytes), device, 0});
  if (status == CUDA_ERROR_OUT_OF_MEMORY && trimPools(submission, 0)) {
    status = callMessage<protocol::call::MapDevice>(
        submission, {*address, session.addresses().roundUp(sizeBytes), device, 0});
  }
  if (status != CUDA_SUCCESS) {
    session.addresses().free(*address, sizeBytes);
    return status;
  }
  session.allocations().insert({.address = *address,
                                .sizeBytes = sizeBytes,
                                .kind = MemoryKind::Device,
                                .device = device,
                                .context = submission.context});
  *out = *address;
  return CUDA_SUCCESS;
}

void finishWait(const Submission& submission) {
  pullFromDevice(submission);
  trimPoolsToThreshold(submission);
}

namespace {

template <uint16_t number>
CUresult release(const Submission& submission, const Allocation& allocation) {
  const CUresult status = callMessage<number>(submission, {allocation.address});
  if (status != CUDA_SUCCESS) return status;
  submission.session->allocations().remove(allocation.address);
  submission.session->addresses().free(allocation.address, allocation.sizeBytes);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;
namespace call_number = vgpu::protocol::call;

VGPU_EXPORT CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  if (!free || !total) return CUDA_ERROR_INVALID_VALUE;
  return Forward<call_number::cuMemGetInfo_v2>::call(free, total);
}

VGPU_EXPORT CUresult cuMemAlloc_v2(CUdeviceptr* out, size_t sizeBytes) {
  Submission submission;
  if (const CUresult status = enterAllocating(submission); status != CUDA_SUCCESS) return status;
  if (!out || sizeBytes == 0) return CUDA_ERROR_INVALID_VALUE;
  return allocateDevice(submission, sizeBytes, out);
}

VGPU_EXPORT CUresult cuMemAllocPitch_v2(CUdeviceptr* out, size_t* pitch, size_t widthBytes, size_t height,
                                        unsigned elementBytes) {
  constexpr size_t kPitchAlignment = 512;  // as natively
  Submission submission;
  if (const CUresult status = enterAllocating(submission); status != CUDA_SUCCESS) return status;
  const bool elementFits = elementBytes == 4 || elementBytes == 8 || elementBytes == 16;
  if (!out || !pitch || widthBytes == 0 || height == 0 || !elementFits) return CUDA_ERROR_INVALID_VALUE;
  *pitch = vgpu::protocol::alignUp(widthBytes, kPitchAlignment);
  size_t sizeBytes;
  if (__builtin_mul_overflow(*pitch, height, &sizeBytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  return allocateDevice(submission, sizeBytes, out);
}

VGPU_EXPORT CUresult cuMemFree_v2(CUdeviceptr address) {
  if (address == 0) return Session::get() ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
  Submission submission;
  if (const CUresult status = enterAllocating(submission); status != CUDA_SUCCESS) return status;
  const auto allocation = submission.session->allocations().find(address);
  const bool freeable = allocation && allocation->address == address &&
                        (allocation->kind == MemoryKind::Device || allocation->kind == MemoryKind::Managed);
  if (!freeable) return CUDA_ERROR_INVALID_VALUE;
  if (allocation->pool) return freePooledNow(submission, *allocation);
  if (allocation->kind == MemoryKind::Managed) return freeHostVisible(submission, *allocation);
  return release<call_number::UnmapDevice>(submission, *allocation);
}

VGPU_EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* sizeBytes, CUdeviceptr address) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  const auto allocation = submission.session->allocations().find(address);
  if (!allocation) return CUDA_ERROR_NOT_FOUND;
  if (base) *base = allocation->address;
  if (sizeBytes) *sizeBytes = allocation->sizeBytes;
  return CUDA_SUCCESS;
}
