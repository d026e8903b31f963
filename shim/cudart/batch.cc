#include "shim/cudart/batch.h"

#include "shim/cudart/box.h"
#include "shim/cudart/driver.h"
#include "shim/cudart/errors.h"

namespace vgpu::cudart {
namespace {

cudaError_t failedAt(size_t index, size_t* failed, cudaError_t error) {
  if (failed != nullptr) *failed = index;
  return error;
}

bool isDefault(CUstream stream) { return stream == nullptr || stream == CU_STREAM_LEGACY; }

// A source that may go away when the call returns has been read by then.
cudaError_t settle(bool ephemeral, CUstream stream) {
  return ephemeral ? toRuntime(driver::cuStreamSynchronize(stream)) : cudaSuccess;
}

}  // namespace

cudaError_t copyBatch(const CopyBatch& batch, size_t* failed, CUstream stream) {
  constexpr size_t kWhole = ~size_t{0};  // natively: no single copy is to blame
  bool absent = batch.to == nullptr || batch.from == nullptr || batch.sizes == nullptr;
  bool unattributed =
      batch.attributes == nullptr || batch.attributeStarts == nullptr || batch.attributeCount == 0;
  if (isDefault(stream) || absent || unattributed || batch.attributeStarts[0] != 0) {
    return failedAt(kWhole, failed, cudaErrorInvalidValue);
  }
  bool ephemeral = false;
  for (size_t i = 0; i < batch.attributeCount; ++i) {
    ephemeral |= batch.attributes[i].srcAccessOrder == cudaMemcpySrcAccessOrderDuringApiCall;
  }
  for (size_t i = 0; i < batch.count; ++i) {
    CUresult result =
        driver::cuMemcpyAsync(reinterpret_cast<CUdeviceptr>(batch.to[i]),
                              reinterpret_cast<CUdeviceptr>(batch.from[i]), batch.sizes[i], stream);
    if (result != CUDA_SUCCESS) return failedAt(i, failed, toRuntime(result));
  }
  return settle(ephemeral, stream);
}

cudaError_t boxBatch(const cudaMemcpy3DBatchOp* operations, size_t count, size_t* failed, CUstream stream) {
  if (isDefault(stream) || operations == nullptr) return failedAt(~size_t{0}, failed, cudaErrorInvalidValue);
  bool ephemeral = false;
  for (size_t i = 0; i < count; ++i) {
    CUDA_MEMCPY3D copy{};
    cudaError_t error = boxCopy(operations[i], &copy);
    if (error == cudaSuccess && !isEmpty(copy)) error = toRuntime(driver::cuMemcpy3DAsync_v2(&copy, stream));
    if (error != cudaSuccess) return failedAt(i, failed, error);
    ephemeral |= operations[i].srcAccessOrder == cudaMemcpySrcAccessOrderDuringApiCall;
  }
  return settle(ephemeral, stream);
}

}  // namespace vgpu::cudart
