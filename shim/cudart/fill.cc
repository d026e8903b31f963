// Fills. Compiled twice, as copy.cc is.
#include "shim/cudart/default_stream.h"

namespace vgpu::cudart {
namespace {

CUdeviceptr address(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

// A fill of the synchronous kind does not wait for device memory, but it does for pinned memory: left to the
// driver.
cudaError_t fill(void* to, int value, size_t count) {
  return onContext([&] {
    auto byte = static_cast<unsigned char>(value);
    if (count == 0) return CUDA_SUCCESS;
    if (kPerThread) return waitDefault(driver::cuMemsetD8Async(address(to), byte, count, streamOf(nullptr)));
    return driver::cuMemsetD8_v2(address(to), byte, count);
  });
}

cudaError_t fillAsync(void* to, int value, size_t count, cudaStream_t stream) {
  return onContext([&] {
    if (count == 0) return CUDA_SUCCESS;
    return driver::cuMemsetD8Async(address(to), static_cast<unsigned char>(value), count, streamOf(stream));
  });
}

CUresult fillRows(void* to, size_t pitch, int value, size_t width, size_t height, bool now,
                  cudaStream_t stream) {
  auto byte = static_cast<unsigned char>(value);
  if (width == 0 || height == 0) return CUDA_SUCCESS;
  if (now && !kPerThread) return driver::cuMemsetD2D8_v2(address(to), pitch, byte, width, height);
  CUresult enqueued = driver::cuMemsetD2D8Async(address(to), pitch, byte, width, height, streamOf(stream));
  return now ? waitDefault(enqueued) : enqueued;
}

cudaError_t fill2D(void* to, size_t pitch, int value, size_t width, size_t height, bool now,
                   cudaStream_t stream) {
  return onContext([&] { return fillRows(to, pitch, value, width, height, now, stream); });
}

cudaError_t fill3D(cudaPitchedPtr to, int value, cudaExtent extent, bool now, cudaStream_t stream) {
  return onContext([&] {
    // Slices that lie row by row behind each other are one rectangle.
    if (extent.height == to.ysize || extent.depth == 1) {
      return fillRows(to.ptr, to.pitch, value, extent.width, extent.height * extent.depth, now, stream);
    }
    for (size_t slice = 0; slice < extent.depth; ++slice) {
      void* start = static_cast<std::byte*>(to.ptr) + slice * to.pitch * to.ysize;
      CUresult result = fillRows(start, to.pitch, value, extent.width, extent.height, now, stream);
      if (result != CUDA_SUCCESS) return result;
    }
    return CUDA_SUCCESS;
  });
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaMemset(void* to, int value, size_t count) { return fill(to, value, count); }

cudaError_t cudaMemsetAsync(void* to, int value, size_t count, cudaStream_t stream) {
  return fillAsync(to, value, count, stream);
}

cudaError_t cudaMemset2D(void* to, size_t pitch, int value, size_t width, size_t height) {
  return fill2D(to, pitch, value, width, height, true, nullptr);
}

cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream) {
  return fill2D(to, pitch, value, width, height, false, stream);
}

cudaError_t cudaMemset3D(cudaPitchedPtr to, int value, cudaExtent extent) {
  return fill3D(to, value, extent, true, nullptr);
}

cudaError_t cudaMemset3DAsync(cudaPitchedPtr to, int value, cudaExtent extent, cudaStream_t stream) {
  return fill3D(to, value, extent, false, stream);
}

}  // extern "C"
