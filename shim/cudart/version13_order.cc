// What takes a stream and only libcudart.so.13 has, or has in another form than 12. Compiled twice, as
// copy.cc is.
#include "shim/cudart/batch.h"
#include "shim/cudart/default_stream.h"
#include "shim/cudart/placement.h"

#ifdef VGPU_PER_THREAD
#define VGPU_VARIANT(name) name##_ptsz
#else
#define VGPU_VARIANT(name) name
#endif

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaMemPrefetchAsync(const void* pointer, size_t count, cudaMemLocation location,
                                 unsigned int flags, cudaStream_t stream) {
  return prefetch(pointer, count, location, flags, streamOf(stream));
}

cudaError_t cudaMemPrefetchBatchAsync(void** pointers, size_t* sizes, size_t count,
                                      cudaMemLocation* locations, size_t* starts, size_t locationCount,
                                      unsigned long long flags, cudaStream_t stream) {
  return onContext([&] {
    bool absent = pointers == nullptr || sizes == nullptr || locations == nullptr || starts == nullptr;
    if (absent || count == 0 || locationCount == 0 || starts[0] != 0 || flags != 0)
      return cudaErrorInvalidValue;
    size_t location = 0;
    for (size_t i = 0; i < count; ++i) {
      while (location + 1 < locationCount && starts[location + 1] <= i) ++location;
      cudaError_t error = prefetch(pointers[i], sizes[i], locations[location], 0, streamOf(stream));
      if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyBatchAsync(void* const* to, const void* const* from, const size_t* sizes, size_t count,
                                 cudaMemcpyAttributes* attributes, size_t* starts, size_t attributeCount,
                                 cudaStream_t stream) {
  return onContext([&] {
    return copyBatch({to, from, sizes, count, attributes, starts, attributeCount}, nullptr, streamOf(stream));
  });
}

cudaError_t cudaMemcpy3DBatchAsync(size_t count, cudaMemcpy3DBatchOp* operations, unsigned long long,
                                   cudaStream_t stream) {
  return onContext([&] { return boxBatch(operations, count, nullptr, streamOf(stream)); });
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** dependencies, const cudaGraphEdgeData** edges,
                                     size_t* count) {
  return onContext([&] {
    return driver::cuStreamGetCaptureInfo_v3(
        streamOf(stream), reinterpret_cast<CUstreamCaptureStatus*>(status), reinterpret_cast<cuuint64_t*>(id),
        graph, dependencies, reinterpret_cast<const CUgraphEdgeData**>(edges), count);
  });
}

}  // extern "C"

// Since 13.2.
VGPU_EXPORT cudaError_t VGPU_VARIANT(cudaMemcpyWithAttributesAsync)(void* to, const void* from, size_t size,
                                                                    cudaMemcpyAttributes* attributes,
                                                                    cudaStream_t stream) {
  return onContext([&] {
    size_t start = 0;
    return copyBatch({&to, &from, &size, 1, attributes, &start, 1}, nullptr, streamOf(stream));
  });
}

VGPU_EXPORT cudaError_t VGPU_VARIANT(cudaMemcpy3DWithAttributesAsync)(cudaMemcpy3DBatchOp* operation,
                                                                      unsigned long long,
                                                                      cudaStream_t stream) {
  return onContext([&] { return boxBatch(operation, 1, nullptr, streamOf(stream)); });
}
