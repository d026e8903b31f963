// cuMemset*: posted. The synchronous forms are the asynchronous ones on the default stream: natively they do
// not wait for device memory either (CUDA driver API, "API synchronization behavior").
#include "shim/cuda/capture.h"
#include "shim/cuda/coherence.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"

namespace vgpu::shim {
namespace {

struct Fill {
  CUdeviceptr address;
  size_t pitchBytes, widthElements, height;
  uint32_t elementBytes;
  CUstream stream;
  bool perThread, asynchronous;
};

CUresult check(const Submission& submission, const Fill& fill, Allocation& allocation) {
  const auto found = submission.session->allocations().find(fill.address);
  if (!found || fill.address % fill.elementBytes != 0) return CUDA_ERROR_INVALID_VALUE;
  size_t rowBytes, spanBytes;
  if (__builtin_mul_overflow(fill.widthElements, fill.elementBytes, &rowBytes))
    return CUDA_ERROR_INVALID_VALUE;
  if (fill.height > 1 && fill.pitchBytes < rowBytes) return CUDA_ERROR_INVALID_VALUE;
  if (__builtin_mul_overflow(fill.pitchBytes, fill.height - 1, &spanBytes)) return CUDA_ERROR_INVALID_VALUE;
  if (__builtin_add_overflow(spanBytes, rowBytes, &spanBytes)) return CUDA_ERROR_INVALID_VALUE;
  if (!submission.session->allocations().covers(fill.address, spanBytes)) return CUDA_ERROR_INVALID_VALUE;
  allocation = *found;
  return CUDA_SUCCESS;
}

// `forward` sends the row once everything is checked.
template <class Forwarded>
CUresult run(const Fill& fill, Forwarded forward) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Stream* stream = resolveStream(submission, fill.stream, fill.perThread);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult status = refuseLegacyDuringCapture(submission, *stream); status != CUDA_SUCCESS)
    return status;
  if (fill.widthElements == 0 || fill.height == 0) return CUDA_SUCCESS;
  Allocation allocation;
  if (const CUresult status = check(submission, fill, allocation); status != CUDA_SUCCESS) return status;
  const CUresult status =
      forward(deviceSide(allocation, fill.address), reinterpret_cast<CUstream>(stream->wire));
  if (status != CUDA_SUCCESS) return status;
  if (allocation.coherence) deviceWillWrite(allocation, *stream);
  // Memory that the program can see has its new content when the synchronous form returns.
  return !fill.asynchronous && allocation.hostVisible() ? waitForStream(submission, *stream) : CUDA_SUCCESS;
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;

#define FILL_1D(bits, Element, sync, row, suffix, perThread, isAsync, ...)                  \
  VGPU_EXPORT CUresult sync##suffix(CUdeviceptr address, Element value,                     \
                                    size_t count __VA_OPT__(, ) __VA_ARGS__) {              \
    return run({address, 0, count, 1, bits / 8, FILL_STREAM_##isAsync, perThread, isAsync}, \
               [=](CUdeviceptr to, CUstream on) {                                           \
                 return Forward<vgpu::protocol::call::row>::call(to, value, count, on);     \
               });                                                                          \
  }
#define FILL_2D(bits, Element, sync, row, suffix, perThread, isAsync, ...)                             \
  VGPU_EXPORT CUresult sync##suffix(CUdeviceptr address, size_t pitch, Element value, size_t width,    \
                                    size_t height __VA_OPT__(, ) __VA_ARGS__) {                        \
    return run({address, pitch, width, height, bits / 8, FILL_STREAM_##isAsync, perThread, isAsync},   \
               [=](CUdeviceptr to, CUstream on) {                                                      \
                 return Forward<vgpu::protocol::call::row>::call(to, pitch, value, width, height, on); \
               });                                                                                     \
  }
#define FILL_STREAM_true stream
#define FILL_STREAM_false nullptr

#define FILL(bits, Element)                                                                                  \
  FILL_1D(bits, Element, cuMemsetD##bits##_v2, cuMemsetD##bits##Async, , false, false)                       \
  FILL_1D(bits, Element, cuMemsetD##bits##_v2, cuMemsetD##bits##Async, _ptds, true, false)                   \
  FILL_1D(bits, Element, cuMemsetD##bits##Async, cuMemsetD##bits##Async, , false, true, CUstream stream)     \
  FILL_1D(bits, Element, cuMemsetD##bits##Async, cuMemsetD##bits##Async, _ptsz, true, true, CUstream stream) \
  FILL_2D(bits, Element, cuMemsetD2D##bits##_v2, cuMemsetD2D##bits##Async, , false, false)                   \
  FILL_2D(bits, Element, cuMemsetD2D##bits##_v2, cuMemsetD2D##bits##Async, _ptds, true, false)               \
  FILL_2D(bits, Element, cuMemsetD2D##bits##Async, cuMemsetD2D##bits##Async, , false, true, CUstream stream) \
  FILL_2D(bits, Element, cuMemsetD2D##bits##Async, cuMemsetD2D##bits##Async, _ptsz, true, true,              \
          CUstream stream)

FILL(8, unsigned char)
FILL(16, unsigned short)
FILL(32, unsigned)
