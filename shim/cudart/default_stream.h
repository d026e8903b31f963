// For files that are compiled twice: which stream the null handle names in this copy. Everything here has
// internal linkage, because the two copies differ. Any thread.
#pragma once

#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

#ifdef VGPU_PER_THREAD
constexpr bool kPerThread = true;
#else
constexpr bool kPerThread = false;
#endif

// The driver's handle of a stream argument.
[[maybe_unused]] inline CUstream streamOf(cudaStream_t stream) {
  return kPerThread && stream == nullptr ? CU_STREAM_PER_THREAD : stream;
}

// Ends a call of the synchronous kind that was made of an asynchronous one on the default stream.
[[maybe_unused]] inline CUresult waitDefault(CUresult enqueued) {
  return enqueued == CUDA_SUCCESS ? driver::cuStreamSynchronize(streamOf(nullptr)) : enqueued;
}

}  // namespace
}  // namespace vgpu::cudart
