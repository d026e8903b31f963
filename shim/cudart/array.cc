// Arrays and mipmapped arrays. A cudaArray_t is the driver's handle.
#include "shim/cudart/channel.h"
#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

cudaError_t describe(const cudaChannelFormatDesc* channel, cudaExtent extent, unsigned flags,
                     CUDA_ARRAY3D_DESCRIPTOR* descriptor) {
  if (channel == nullptr) return cudaErrorInvalidValue;
  ArrayFormat format{};
  if (cudaError_t error = toDriver(*channel, &format); error != cudaSuccess) return error;
  *descriptor = {extent.width, extent.height, extent.depth, format.format, format.channels, flags};
  return cudaSuccess;
}

cudaError_t createArray(cudaArray_t* array, const cudaChannelFormatDesc* channel, cudaExtent extent,
                        unsigned flags) {
  if (array == nullptr) return cudaErrorInvalidValue;
  CUDA_ARRAY3D_DESCRIPTOR descriptor{};
  if (cudaError_t error = describe(channel, extent, flags, &descriptor); error != cudaSuccess) return error;
  return toRuntime(driver::cuArray3DCreate_v2(reinterpret_cast<CUarray*>(array), &descriptor));
}

cudaError_t describeArray(cudaArray_const_t array, cudaChannelFormatDesc* channel, cudaExtent* extent,
                          unsigned* flags) {
  CUDA_ARRAY3D_DESCRIPTOR descriptor{};
  auto handle = reinterpret_cast<CUarray>(const_cast<cudaArray*>(array));
  CUresult result = driver::cuArray3DGetDescriptor_v2(&descriptor, handle);
  if (result != CUDA_SUCCESS) return toRuntime(result);
  if (extent != nullptr) *extent = {descriptor.Width, descriptor.Height, descriptor.Depth};
  if (flags != nullptr) *flags = descriptor.Flags;
  return channel == nullptr ? cudaSuccess : toRuntime(descriptor.Format, descriptor.NumChannels, channel);
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w, cudaChannelFormatKind kind) {
  return {x, y, z, w, kind};
}

cudaError_t cudaMallocArray(cudaArray_t* array, const cudaChannelFormatDesc* channel, size_t width,
                            size_t height, unsigned int flags) {
  return onContext([&] { return createArray(array, channel, {width, height, 0}, flags); });
}

cudaError_t cudaMalloc3DArray(cudaArray_t* array, const cudaChannelFormatDesc* channel, cudaExtent extent,
                              unsigned int flags) {
  return onContext([&] { return createArray(array, channel, extent, flags); });
}

cudaError_t cudaFreeArray(cudaArray_t array) {
  return onContext([&] {
    return array == nullptr ? CUDA_SUCCESS : driver::cuArrayDestroy(reinterpret_cast<CUarray>(array));
  });
}

cudaError_t cudaMallocMipmappedArray(cudaMipmappedArray_t* array, const cudaChannelFormatDesc* channel,
                                     cudaExtent extent, unsigned int levels, unsigned int flags) {
  return onContext([&] {
    CUDA_ARRAY3D_DESCRIPTOR descriptor{};
    if (array == nullptr) return cudaErrorInvalidValue;
    if (cudaError_t error = describe(channel, extent, flags, &descriptor); error != cudaSuccess) return error;
    return toRuntime(
        driver::cuMipmappedArrayCreate(reinterpret_cast<CUmipmappedArray*>(array), &descriptor, levels));
  });
}

cudaError_t cudaGetMipmappedArrayLevel(cudaArray_t* level, cudaMipmappedArray_const_t array,
                                       unsigned int index) {
  return onContext([&] {
    auto handle = reinterpret_cast<CUmipmappedArray>(const_cast<cudaMipmappedArray*>(array));
    return driver::cuMipmappedArrayGetLevel(reinterpret_cast<CUarray*>(level), handle, index);
  });
}

cudaError_t cudaFreeMipmappedArray(cudaMipmappedArray_t array) {
  return onContext([&] {
    if (array == nullptr) return CUDA_SUCCESS;
    return driver::cuMipmappedArrayDestroy(reinterpret_cast<CUmipmappedArray>(array));
  });
}

cudaError_t cudaArrayGetInfo(cudaChannelFormatDesc* channel, cudaExtent* extent, unsigned int* flags,
                             cudaArray_t array) {
  return onContext([&] { return describeArray(array, channel, extent, flags); });
}

cudaError_t cudaGetChannelDesc(cudaChannelFormatDesc* channel, cudaArray_const_t array) {
  return onContext([&] {
    return channel == nullptr ? cudaErrorInvalidValue : describeArray(array, channel, nullptr, nullptr);
  });
}

cudaError_t cudaDeviceGetTexture1DLinearMaxWidth(size_t* width, const cudaChannelFormatDesc* channel,
                                                 int device) {
  return onDriver([&] {
    CUdevice handle = 0;
    ArrayFormat format{};
    if (channel == nullptr) return cudaErrorInvalidValue;
    if (cudaError_t error = deviceHandle(device, &handle); error != cudaSuccess) return error;
    if (cudaError_t error = toDriver(*channel, &format); error != cudaSuccess) return error;
    return toRuntime(
        driver::cuDeviceGetTexture1DLinearMaxWidth(width, format.format, format.channels, handle));
  });
}

}  // extern "C"
