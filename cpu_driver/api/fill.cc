// cuMemset*: one- and two-dimensional, asynchronous with respect to the host unless the memory is pinned.
#include "cpu_driver/api/transfer.h"

using namespace vgpu::cpu;

namespace {

constexpr size_t kLightBytes = 64 * 1024;

CUresult fill(CUstream handle, CUdeviceptr to, size_t pitch, unsigned elementBytes, uint32_t value,
              size_t width, size_t height, Waiting waiting) {
  const auto body = [&](Context& context) -> CUresult {
    Stream* stream = findStream(context, handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (width == 0 || height == 0) return CUDA_SUCCESS;
    if (width > SIZE_MAX / 8 || to % elementBytes != 0 || pitch % elementBytes != 0)
      return CUDA_ERROR_INVALID_VALUE;
    const size_t rowBytes = width * elementBytes;
    if (height > 1 && (pitch < rowBytes || pitch > SIZE_MAX / height)) return CUDA_ERROR_INVALID_VALUE;
    const Side side{Place::Device, {reinterpret_cast<std::byte*>(to), pitch, pitch * height}};
    if (!isKnown(side, rowBytes, height, 1)) return CUDA_ERROR_INVALID_VALUE;
    const FillPlan plan{side.layout, value, elementBytes, width, height};
    const CUresult result = submit(*stream, CU_GRAPH_NODE_TYPE_MEMSET, [plan, rowBytes, height](Stream& on) {
      if (rowBytes * height <= kLightBytes) {
        on.enqueueLight<FillWork>(plan);
      } else {
        on.enqueue<FillWork>(plan);
      }
    });
    if (result != CUDA_SUCCESS || waiting == Waiting::Asynchronous) return result;
    // Memory of the host is the program's to read as soon as the call returns.
    const auto allocation = driver().memory().addresses().find(to);
    if (!allocation || allocation->onDevice()) return CUDA_SUCCESS;
    stream->waitAll();
    return context.surface();
  };
  return waiting == Waiting::Synchronous ? withContextUncaptured(body) : withContext(body);
}

constexpr auto kWait = Waiting::Synchronous;
constexpr auto kGoOn = Waiting::Asynchronous;

}  // namespace

extern "C" {

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return fill(nullptr, to, 0, 1, value, count, 1, kWait);
}
CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  return fill(nullptr, to, 0, 2, value, count, 1, kWait);
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return fill(nullptr, to, 0, 4, value, count, 1, kWait);
}
CUresult cuMemsetD2D8_v2(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height) {
  return fill(nullptr, to, pitch, 1, value, width, height, kWait);
}
CUresult cuMemsetD2D16_v2(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height) {
  return fill(nullptr, to, pitch, 2, value, width, height, kWait);
}
CUresult cuMemsetD2D32_v2(CUdeviceptr to, size_t pitch, unsigned value, size_t width, size_t height) {
  return fill(nullptr, to, pitch, 4, value, width, height, kWait);
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  return fill(stream, to, 0, 1, value, count, 1, kGoOn);
}
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
  return fill(stream, to, 0, 2, value, count, 1, kGoOn);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return fill(stream, to, 0, 4, value, count, 1, kGoOn);
}
CUresult cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height,
                           CUstream stream) {
  return fill(stream, to, pitch, 1, value, width, height, kGoOn);
}
CUresult cuMemsetD2D16Async(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height,
                            CUstream stream) {
  return fill(stream, to, pitch, 2, value, width, height, kGoOn);
}
CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned value, size_t width, size_t height,
                            CUstream stream) {
  return fill(stream, to, pitch, 4, value, width, height, kGoOn);
}

}  // extern "C"
