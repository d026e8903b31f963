// Making and ending streams, and what of them has no per-thread variant.
#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return onContext([&] { return driver::cuStreamCreate(stream, CU_STREAM_DEFAULT); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  return onContext([&] { return driver::cuStreamCreate(stream, flags); });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned int flags, int priority) {
  return onContext([&] { return driver::cuStreamCreateWithPriority(stream, flags, priority); });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return onContext([&] {
    // The default streams are not the caller's to destroy.
    bool isDefault = stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread;
    return isDefault ? CUDA_ERROR_INVALID_HANDLE : driver::cuStreamDestroy_v2(stream);
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return onContext([&] {
    return driver::cuThreadExchangeStreamCaptureMode(reinterpret_cast<CUstreamCaptureMode*>(mode));
  });
}

// The graph that an ended capture hands out is the caller's to destroy, whatever else can be done with it.
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return onContext([&] { return driver::cuGraphDestroy(graph); });
}

}  // extern "C"
