// Batches of copies, and copies with attributes: made one by one in the order of the stream, which the
// interface allows and no more. Any thread.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart {

// Enqueues copy after copy. On a failure *failed, if asked for, is the index of the copy that failed.
struct CopyBatch {
  void* const* to;
  const void* const* from;
  const size_t* sizes;
  size_t count;
  const cudaMemcpyAttributes* attributes;
  const size_t* attributeStarts;
  size_t attributeCount;
};

cudaError_t copyBatch(const CopyBatch& batch, size_t* failed, CUstream stream);
cudaError_t boxBatch(const cudaMemcpy3DBatchOp* operations, size_t count, size_t* failed, CUstream stream);

}  // namespace vgpu::cudart
