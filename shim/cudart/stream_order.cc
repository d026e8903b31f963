// What is said to a stream: queries, waits, callbacks, attributes, capture, ordered memory, recording of
// events. Compiled twice, as copy.cc is.
#include <memory>

#include "shim/cudart/default_stream.h"

namespace vgpu::cudart {
namespace {

static_assert(sizeof(cudaStreamAttrValue) == sizeof(CUstreamAttrValue));

// A callback of the runtime's type, carried through the driver's.
struct Callback {
  cudaStreamCallback_t function;
  void* userData;
};

void CUDA_CB callBack(CUstream stream, CUresult result, void* data) {
  std::unique_ptr<Callback> callback(static_cast<Callback*>(data));
  callback->function(stream, toRuntime(result), callback->userData);
}

cudaError_t addCallback(cudaStream_t stream, cudaStreamCallback_t function, void* userData, unsigned flags) {
  if (function == nullptr) return cudaErrorInvalidValue;
  auto* callback = new Callback{function, userData};  // callBack deletes it, where it is ever called
  CUresult result = driver::cuStreamAddCallback(streamOf(stream), callBack, callback, flags);
  if (result != CUDA_SUCCESS) delete callback;
  return toRuntime(result);
}

cudaError_t deviceOf(cudaStream_t stream, int* device) {
  if (device == nullptr) return cudaErrorInvalidValue;
  CUcontext context = nullptr;
  CUcontext before = nullptr;
  CUresult result = driver::cuStreamGetCtx(streamOf(stream), &context);
  if (result != CUDA_SUCCESS) return toRuntime(result);
  driver::cuCtxGetCurrent(&before);
  if (before == context) return toRuntime(driver::cuCtxGetDevice(device));
  driver::cuCtxSetCurrent(context);
  result = driver::cuCtxGetDevice(device);
  driver::cuCtxSetCurrent(before);
  return toRuntime(result);
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return onContext([&] { return driver::cuStreamSynchronize(streamOf(stream)); });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return onContext([&] { return driver::cuStreamQuery(streamOf(stream)); });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags) {
  return onContext([&] { return driver::cuStreamWaitEvent(streamOf(stream), event, flags); });
}

cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t callback, void* userData,
                                  unsigned int flags) {
  return onContext([&] { return addCallback(stream, callback, userData, flags); });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* userData) {
  return onContext([&] { return driver::cuLaunchHostFunc(streamOf(stream), function, userData); });
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  return onContext([&] { return driver::cuStreamGetPriority(streamOf(stream), priority); });
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned int* flags) {
  return onContext([&] { return driver::cuStreamGetFlags(streamOf(stream), flags); });
}

cudaError_t cudaStreamGetId(cudaStream_t stream, unsigned long long* id) {
  return onContext([&] { return driver::cuStreamGetId(streamOf(stream), id); });
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* device) {
  return onContext([&] { return deviceOf(stream, device); });
}

cudaError_t cudaStreamCopyAttributes(cudaStream_t to, cudaStream_t from) {
  return onContext([&] { return driver::cuStreamCopyAttributes(streamOf(to), streamOf(from)); });
}

cudaError_t cudaStreamGetAttribute(cudaStream_t stream, cudaStreamAttrID attribute,
                                   cudaStreamAttrValue* value) {
  return onContext([&] {
    return driver::cuStreamGetAttribute(streamOf(stream), static_cast<CUstreamAttrID>(attribute),
                                        reinterpret_cast<CUstreamAttrValue*>(value));
  });
}

cudaError_t cudaStreamSetAttribute(cudaStream_t stream, cudaStreamAttrID attribute,
                                   const cudaStreamAttrValue* value) {
  return onContext([&] {
    return driver::cuStreamSetAttribute(streamOf(stream), static_cast<CUstreamAttrID>(attribute),
                                        reinterpret_cast<const CUstreamAttrValue*>(value));
  });
}

cudaError_t cudaStreamAttachMemAsync(cudaStream_t stream, void* pointer, size_t length, unsigned int flags) {
  return onContext([&] {
    return driver::cuStreamAttachMemAsync(streamOf(stream), reinterpret_cast<CUdeviceptr>(pointer), length,
                                          flags);
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return onContext([&] {
    return driver::cuStreamBeginCapture_v2(streamOf(stream), static_cast<CUstreamCaptureMode>(mode));
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return onContext([&] { return driver::cuStreamEndCapture(streamOf(stream), graph); });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return onContext([&] {
    return driver::cuStreamIsCapturing(streamOf(stream), reinterpret_cast<CUstreamCaptureStatus*>(status));
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return onContext([&] { return driver::cuEventRecord(event, streamOf(stream)); });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned int flags) {
  return onContext([&] {
    if (flags == cudaEventRecordDefault) return driver::cuEventRecord(event, streamOf(stream));
    return driver::cuEventRecordWithFlags(event, streamOf(stream), flags);
  });
}

cudaError_t cudaMallocAsync(void** pointer, size_t size, cudaStream_t stream) {
  return onContext([&] {
    if (pointer == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (size == 0) {
      *pointer = nullptr;
      return CUDA_SUCCESS;
    }
    return driver::cuMemAllocAsync(reinterpret_cast<CUdeviceptr*>(pointer), size, streamOf(stream));
  });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  return onContext([&] {
    if (pointer == nullptr) return CUDA_SUCCESS;
    return driver::cuMemFreeAsync(reinterpret_cast<CUdeviceptr>(pointer), streamOf(stream));
  });
}

cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t size, cudaMemPool_t pool, cudaStream_t stream) {
  return onContext([&] {
    return driver::cuMemAllocFromPoolAsync(reinterpret_cast<CUdeviceptr*>(pointer), size, pool,
                                           streamOf(stream));
  });
}

}  // extern "C"
