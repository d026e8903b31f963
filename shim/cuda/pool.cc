// cuMemAllocAsync and the memory pools. Blocks are mapped by the executor when a pool grows; all else is the
// guest's bookkeeping (shim/session/memory_pool.h).
#include "shim/cuda/pool.h"

#include "shim/cuda/completion.h"
#include "shim/cuda/device.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/refuse.h"

namespace vgpu::shim {
namespace {

auto retiredTest(const Submission& submission) {
  return
      [&submission](const PoolBlock& block) { return isRetired(submission, *block.stream, block.freedAt); };
}

void release(const Submission& submission, const std::vector<PoolBlock>& blocks) {
  for (const PoolBlock& block : blocks) {
    callMessage<protocol::call::UnmapDevice>(submission, {block.address});
    submission.session->addresses().free(block.address, block.sizeBytes);
  }
}

void adopt(const Submission& submission, MemoryPool& pool, uint64_t address, uint64_t sizeBytes) {
  submission.session->allocations().insert({.address = address,
                                            .sizeBytes = sizeBytes,
                                            .kind = MemoryKind::Device,
                                            .device = pool.device,
                                            .context = submission.context,
                                            .pool = &pool});
}

CUresult allocate(CUdeviceptr* out, size_t sizeBytes, MemoryPool* pool, CUstream value, bool perThread) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Stream* stream = resolveStream(submission, value, perThread);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture.load() != Capture::None) return refuse("cuMemAllocAsync during a capture", "graphs");
  if (sizeBytes == 0) {
    *out = 0;
    return CUDA_SUCCESS;
  }
  Session& session = *submission.session;
  if (!pool) pool = session.pools().currentPool(submission.context->device);
  if (!session.pools().known(pool)) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t rounded = session.addresses().roundUp(sizeBytes);
  if (rounded < sizeBytes) return CUDA_ERROR_OUT_OF_MEMORY;
  if (const auto block = session.pools().reuse(*pool, rounded, stream, retiredTest(submission))) {
    session.pools().allocated(*pool, rounded, false);
    adopt(submission, *pool, block->address, sizeBytes);
    *out = block->address;
    return CUDA_SUCCESS;
  }
  if (pool->maxBytes && pool->reservedBytes + rounded > pool->maxBytes) return CUDA_ERROR_OUT_OF_MEMORY;
  // A pool that grows asks at once whether there is memory, because natively this very call says
  // OUT_OF_MEMORY.
  CUdeviceptr address;
  if (const CUresult status = allocateDevice(submission, sizeBytes, &address); status != CUDA_SUCCESS)
    return status;
  session.pools().allocated(*pool, rounded, true);
  adopt(submission, *pool, address, sizeBytes);
  *out = address;
  return CUDA_SUCCESS;
}

// Memory of cuMemAlloc may be freed in stream order too; it then joins the device's default pool.
MemoryPool& poolOf(const Submission& submission, const Allocation& allocation, uint64_t sizeBytes) {
  if (allocation.pool) return *allocation.pool;
  MemoryPool& pool = *submission.session->pools().defaultPool(allocation.device);
  submission.session->pools().allocated(pool, sizeBytes, true);
  return pool;
}

void giveToPool(const Submission& submission, const Allocation& allocation, Stream& stream) {
  const uint64_t sizeBytes = submission.session->addresses().roundUp(allocation.sizeBytes);
  MemoryPool& pool = poolOf(submission, allocation, sizeBytes);
  submission.session->allocations().remove(allocation.address);
  submission.session->pools().freed(pool, {allocation.address, sizeBytes, &stream, stream.posted.get()});
}

CUresult freeAsync(CUdeviceptr address, CUstream value, bool perThread) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Stream* stream = resolveStream(submission, value, perThread);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (address == 0) return CUDA_SUCCESS;
  const auto allocation = submission.session->allocations().find(address);
  if (!allocation || allocation->address != address || allocation->kind != MemoryKind::Device)
    return CUDA_ERROR_INVALID_VALUE;
  giveToPool(submission, *allocation, *stream);
  return CUDA_SUCCESS;
}

CUresult withDevice(CUmemoryPool* out, CUdevice device, bool current) {
  const protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  MemoryPools& pools = Session::get()->pools();
  *out = reinterpret_cast<CUmemoryPool>(current ? pools.currentPool(device) : pools.defaultPool(device));
  return CUDA_SUCCESS;
}

CUresult findPool(CUmemoryPool value, MemoryPool*& pool) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  pool = reinterpret_cast<MemoryPool*>(value);
  return session->pools().known(pool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

bool trimPools(const Submission& submission, uint64_t keepBytes) {
  bool any = false;
  submission.session->pools().forEach([&](MemoryPool& pool) {
    const auto blocks = submission.session->pools().trim(pool, keepBytes, retiredTest(submission));
    any |= !blocks.empty();
    release(submission, blocks);
  });
  return any;
}

void trimPoolsToThreshold(const Submission& submission) {
  submission.session->pools().forEach([&](MemoryPool& pool) {
    if (pool.reservedBytes <= pool.releaseThreshold) return;
    release(submission,
            submission.session->pools().trim(pool, pool.releaseThreshold, retiredTest(submission)));
  });
}

CUresult freePooledNow(const Submission& submission, const Allocation& allocation) {
  if (const CUresult status = waitForContext(submission); status != CUDA_SUCCESS) return status;
  giveToPool(submission, allocation, submission.session->legacyStream(*submission.context));
  trimPoolsToThreshold(submission);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim

using namespace vgpu::shim;

VGPU_EXPORT CUresult cuMemAllocAsync(CUdeviceptr* out, size_t bytes, CUstream stream) {
  return allocate(out, bytes, nullptr, stream, false);
}
VGPU_EXPORT CUresult cuMemAllocAsync_ptsz(CUdeviceptr* out, size_t bytes, CUstream stream) {
  return allocate(out, bytes, nullptr, stream, true);
}
VGPU_EXPORT CUresult cuMemAllocFromPoolAsync(CUdeviceptr* out, size_t bytes, CUmemoryPool pool,
                                             CUstream stream) {
  return pool ? allocate(out, bytes, reinterpret_cast<MemoryPool*>(pool), stream, false)
              : CUDA_ERROR_INVALID_VALUE;
}
VGPU_EXPORT CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr* out, size_t bytes, CUmemoryPool pool,
                                                  CUstream stream) {
  return pool ? allocate(out, bytes, reinterpret_cast<MemoryPool*>(pool), stream, true)
              : CUDA_ERROR_INVALID_VALUE;
}
VGPU_EXPORT CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
  return freeAsync(address, stream, false);
}
VGPU_EXPORT CUresult cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream) {
  return freeAsync(address, stream, true);
}

VGPU_EXPORT CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* out, CUdevice device) {
  return withDevice(out, device, false);
}
VGPU_EXPORT CUresult cuDeviceGetMemPool(CUmemoryPool* out, CUdevice device) {
  return withDevice(out, device, true);
}
VGPU_EXPORT CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool value) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  return Session::get()->pools().setCurrent(device, reinterpret_cast<MemoryPool*>(value));
}

VGPU_EXPORT CUresult cuMemPoolCreate(CUmemoryPool* out, const CUmemPoolProps* properties) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  if (!out || !properties || properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
    return CUDA_ERROR_INVALID_VALUE;
  if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
    return refuse("cuMemPoolCreate in host memory", "pools of host memory");
  if (properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE)
    return refuse("cuMemPoolCreate with a handle type", "memory shared between programs");
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(properties->location.id, info); status != CUDA_SUCCESS)
    return status;
  *out = reinterpret_cast<CUmemoryPool>(
      Session::get()->pools().create(properties->location.id, properties->maxSize));
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemPoolDestroy(CUmemoryPool value) {
  MemoryPool* pool;
  if (const CUresult status = findPool(value, pool); status != CUDA_SUCCESS) return status;
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  std::vector<PoolBlock> blocks;
  const CUresult status = submission.session->pools().destroy(pool, blocks);
  if (status == CUDA_SUCCESS) release(submission, blocks);
  return status;
}

VGPU_EXPORT CUresult cuMemPoolTrimTo(CUmemoryPool value, size_t keepBytes) {
  MemoryPool* pool;
  if (const CUresult status = findPool(value, pool); status != CUDA_SUCCESS) return status;
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  release(submission, submission.session->pools().trim(*pool, keepBytes, retiredTest(submission)));
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemPoolGetAttribute(CUmemoryPool value, CUmemPool_attribute attribute, void* out) {
  MemoryPool* pool;
  if (const CUresult status = findPool(value, pool); status != CUDA_SUCCESS) return status;
  return out ? Session::get()->pools().getAttribute(*pool, attribute, out) : CUDA_ERROR_INVALID_VALUE;
}

VGPU_EXPORT CUresult cuMemPoolSetAttribute(CUmemoryPool value, CUmemPool_attribute attribute, void* in) {
  MemoryPool* pool;
  if (const CUresult status = findPool(value, pool); status != CUDA_SUCCESS) return status;
  return in ? Session::get()->pools().setAttribute(*pool, attribute, in) : CUDA_ERROR_INVALID_VALUE;
}

VGPU_EXPORT CUresult cuMemPoolGetAccess(CUmemAccess_flags* flags, CUmemoryPool value,
                                        CUmemLocation* location) {
  MemoryPool* pool;
  if (const CUresult status = findPool(value, pool); status != CUDA_SUCCESS) return status;
  if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
  *flags = location->id == pool->device ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_NONE;
  return CUDA_SUCCESS;
}

// Only the pool's own device can be named, and it always has access.
VGPU_EXPORT CUresult cuMemPoolSetAccess(CUmemoryPool value, const CUmemAccessDesc* map, size_t count) {
  MemoryPool* pool;
  if (const CUresult status = findPool(value, pool); status != CUDA_SUCCESS) return status;
  if (!map && count) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    const bool own =
        map[i].location.type == CU_MEM_LOCATION_TYPE_DEVICE && map[i].location.id == pool->device;
    if (!own || map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE) return CUDA_ERROR_INVALID_DEVICE;
  }
  return CUDA_SUCCESS;
}
