#include "cpu_driver/api/entry.h"
#include "cpu_driver/runtime/device.h"
#include "cpu_driver/runtime/output.h"
#include "protocol/abi/errors.h"

using namespace vgpu::cpu;

extern "C" {

CUresult cuInit(unsigned flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return guarded(initialise);
}

CUresult cuDriverGetVersion(int* version) {
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  *version = kDriverVersion;
  return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char** name) {
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  *name = vgpu::protocol::errorName(error);
  return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
  if (!text) return CUDA_ERROR_INVALID_VALUE;
  *text = vgpu::protocol::errorText(error);
  return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// The vendor's runtime asks for private tables; there are none here.
CUresult cuGetExportTable(const void** table, const CUuuid*) {
  if (table) *table = nullptr;
  return CUDA_ERROR_NOT_SUPPORTED;
}

// No profiler can be attached, so there is nothing to start or stop.
__attribute__((visibility("default"))) CUresult cuProfilerStart() {
  return withContext([](Context&) { return CUDA_SUCCESS; });
}
__attribute__((visibility("default"))) CUresult cuProfilerStop() {
  return withContext([](Context&) { return CUDA_SUCCESS; });
}
__attribute__((visibility("default"))) CUresult cuProfilerInitialize(const char*, const char*, int) {
  return CUDA_ERROR_NOT_SUPPORTED;
}

// For an executor: device printf (fd 1) and assertion text (fd 2) go to `write` instead of this process's
// stdio.
__attribute__((visibility("default"))) void vgpuCpuDriverSetOutput(void (*write)(int, const void*, size_t,
                                                                                 void*),
                                                                   void* argument) {
  Output::setHook(write, argument);
}

}  // extern "C"
