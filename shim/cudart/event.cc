// Events. Recording is in stream_order.cc, because it names a stream.
#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return onContext([&] { return driver::cuEventCreate(event, CU_EVENT_DEFAULT); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  return onContext([&] { return driver::cuEventCreate(event, flags); });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return onContext([&] { return driver::cuEventDestroy_v2(event); });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return onContext([&] { return driver::cuEventQuery(event); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return onContext([&] { return driver::cuEventSynchronize(event); });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return onContext([&] { return driver::cuEventElapsedTime(milliseconds, start, end); });
}

}  // extern "C"
