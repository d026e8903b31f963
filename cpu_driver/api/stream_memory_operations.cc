// Values that a stream writes to memory, or waits for there.
#include "cpu_driver/api/entry.h"
#include "cpu_driver/api/transfer.h"
#include "cpu_driver/runtime/value_work.h"

using namespace vgpu::cpu;

namespace {

bool reachable(CUdeviceptr address, size_t bytes) {
  return address % bytes == 0 && driver().memory().addresses().covers(address, bytes);
}

CUresult write(CUstream handle, CUdeviceptr address, uint64_t value, unsigned bytes, unsigned flags) {
  return withStream(handle, [&](Context&, Stream& stream) -> CUresult {
    if ((flags & ~unsigned{CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER}) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (!reachable(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
    return submit(stream, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
                  [=](Stream& on) { on.enqueueLight<WriteValueWork>(address, value, bytes); });
  });
}

CUresult wait(CUstream handle, CUdeviceptr address, uint64_t value, unsigned bytes, unsigned flags) {
  return withStream(handle, [&](Context&, Stream& stream) -> CUresult {
    // Flushing writes of other devices is what CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES denies.
    if ((flags & ~3u) != 0)
      return flags & CU_STREAM_WAIT_VALUE_FLUSH ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    if (!reachable(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
    const auto condition = static_cast<CUstreamWaitValue_flags>(flags);
    return submit(stream, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
                  [=](Stream& on) { on.enqueue<WaitValueWork>(address, value, bytes, condition); });
  });
}

CUresult one(CUstream stream, const CUstreamBatchMemOpParams& operation) {
  switch (operation.operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
      return wait(stream, operation.waitValue.address, operation.waitValue.value, 4,
                  operation.waitValue.flags);
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
      return wait(stream, operation.waitValue.address, operation.waitValue.value64, 8,
                  operation.waitValue.flags);
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      return write(stream, operation.writeValue.address, operation.writeValue.value, 4,
                   operation.writeValue.flags);
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
      return write(stream, operation.writeValue.address, operation.writeValue.value64, 8,
                   operation.writeValue.flags);
    // Every store here is seen in order by whoever looks.
    case CU_STREAM_MEM_OP_BARRIER:
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

}  // namespace

extern "C" {

CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned flags) {
  return write(stream, address, value, 4, flags);
}
CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned flags) {
  return write(stream, address, value, 8, flags);
}
CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned flags) {
  return wait(stream, address, value, 4, flags);
}
CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned flags) {
  return wait(stream, address, value, 8, flags);
}

CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned count, CUstreamBatchMemOpParams* operations,
                               unsigned flags) {
  if (count > 256 || flags != 0 || (count != 0 && !operations)) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) {
    if (const CUresult result = one(stream, operations[i]); result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

}  // extern "C"
