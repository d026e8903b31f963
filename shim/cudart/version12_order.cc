// What takes a stream and only libcudart.so.12 has, or has in another form than 13. Compiled twice, as
// copy.cc is.
#include "shim/cudart/batch.h"
#include "shim/cudart/default_stream.h"
#include "shim/cudart/placement.h"

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

#ifdef VGPU_PER_THREAD
#define VGPU_VARIANT(name) name##_ptsz
#else
#define VGPU_VARIANT(name) name
#endif

extern "C" {

cudaError_t cudaMemPrefetchAsync(const void* pointer, size_t count, int device, cudaStream_t stream) {
  return prefetch(pointer, count, locationOf(device), 0, streamOf(stream));
}

cudaError_t cudaMemPrefetchAsync_v2(const void* pointer, size_t count, cudaMemLocation location,
                                    unsigned int flags, cudaStream_t stream) {
  return prefetch(pointer, count, location, flags, streamOf(stream));
}

cudaError_t cudaMemcpyBatchAsync(void** to, void** from, size_t* sizes, size_t count,
                                 cudaMemcpyAttributes* attributes, size_t* starts, size_t attributeCount,
                                 size_t* failed, cudaStream_t stream) {
  return onContext([&] {
    return copyBatch({to, from, sizes, count, attributes, starts, attributeCount}, failed, streamOf(stream));
  });
}

cudaError_t cudaMemcpy3DBatchAsync(size_t count, cudaMemcpy3DBatchOp* operations, size_t* failed,
                                   unsigned long long, cudaStream_t stream) {
  return onContext([&] { return boxBatch(operations, count, failed, streamOf(stream)); });
}

cudaError_t cudaStreamGetCaptureInfo_v3(cudaStream_t stream, cudaStreamCaptureStatus* status,
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

VGPU_EXPORT cudaError_t VGPU_VARIANT(cudaStreamGetCaptureInfo_v2)(cudaStream_t stream,
                                                                  cudaStreamCaptureStatus* status,
                                                                  unsigned long long* id, cudaGraph_t* graph,
                                                                  const cudaGraphNode_t** dependencies,
                                                                  size_t* count) {
  return onContext([&] {
    return driver::cuStreamGetCaptureInfo_v2(streamOf(stream),
                                             reinterpret_cast<CUstreamCaptureStatus*>(status),
                                             reinterpret_cast<cuuint64_t*>(id), graph, dependencies, count);
  });
}

VGPU_EXPORT cudaError_t VGPU_VARIANT(cudaStreamGetCaptureInfo)(cudaStream_t stream,
                                                               cudaStreamCaptureStatus* status,
                                                               unsigned long long* id) {
  return onContext([&] {
    return driver::cuStreamGetCaptureInfo_v2(streamOf(stream),
                                             reinterpret_cast<CUstreamCaptureStatus*>(status),
                                             reinterpret_cast<cuuint64_t*>(id), nullptr, nullptr, nullptr);
  });
}
