// Texture and surface objects. Objects are the driver's; the descriptors of both interfaces say the same
// differently.
#include <algorithm>
#include <cstring>

#include "shim/cudart/channel.h"
#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

cudaError_t linearFormat(const cudaChannelFormatDesc& channel, CUarray_format* format, unsigned* channels) {
  ArrayFormat found{};
  cudaError_t error = toDriver(channel, &found);
  *format = found.format;
  *channels = found.channels;
  return error;
}

template <class To, class From>
void copyRows(const From& from, To& to) {
  to.width = from.width, to.height = from.height, to.pitchInBytes = from.pitchInBytes;
}

cudaError_t driverForm(const cudaResourceDesc& resource, CUDA_RESOURCE_DESC* out) {
  *out = {};
  out->resType = static_cast<CUresourcetype>(resource.resType);
  switch (resource.resType) {
    case cudaResourceTypeArray:
      out->res.array.hArray = reinterpret_cast<CUarray>(resource.res.array.array);
      return cudaSuccess;
    case cudaResourceTypeMipmappedArray:
      out->res.mipmap.hMipmappedArray = reinterpret_cast<CUmipmappedArray>(resource.res.mipmap.mipmap);
      return cudaSuccess;
    case cudaResourceTypeLinear: {
      const auto& linear = resource.res.linear;
      out->res.linear.devPtr = reinterpret_cast<CUdeviceptr>(linear.devPtr);
      out->res.linear.sizeInBytes = linear.sizeInBytes;
      return linearFormat(linear.desc, &out->res.linear.format, &out->res.linear.numChannels);
    }
    case cudaResourceTypePitch2D: {
      const auto& pitched = resource.res.pitch2D;
      out->res.pitch2D.devPtr = reinterpret_cast<CUdeviceptr>(pitched.devPtr);
      copyRows(pitched, out->res.pitch2D);
      return linearFormat(pitched.desc, &out->res.pitch2D.format, &out->res.pitch2D.numChannels);
    }
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t runtimeForm(const CUDA_RESOURCE_DESC& resource, cudaResourceDesc* out) {
  *out = {};
  out->resType = static_cast<cudaResourceType>(resource.resType);
  switch (resource.resType) {
    case CU_RESOURCE_TYPE_ARRAY:
      out->res.array.array = reinterpret_cast<cudaArray_t>(resource.res.array.hArray);
      return cudaSuccess;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
      out->res.mipmap.mipmap = reinterpret_cast<cudaMipmappedArray_t>(resource.res.mipmap.hMipmappedArray);
      return cudaSuccess;
    case CU_RESOURCE_TYPE_LINEAR: {
      const auto& linear = resource.res.linear;
      out->res.linear.devPtr = reinterpret_cast<void*>(linear.devPtr);
      out->res.linear.sizeInBytes = linear.sizeInBytes;
      return toRuntime(linear.format, linear.numChannels, &out->res.linear.desc);
    }
    default: {
      const auto& pitched = resource.res.pitch2D;
      out->res.pitch2D.devPtr = reinterpret_cast<void*>(pitched.devPtr);
      copyRows(pitched, out->res.pitch2D);
      return toRuntime(pitched.format, pitched.numChannels, &out->res.pitch2D.desc);
    }
  }
}

// Enumerations of both interfaces have the same values.
template <class To, class From>
void assign(To& to, From from) {
  to = static_cast<To>(from);
}

// The fields of a texture's description that both interfaces have under one name.
template <class To, class From>
To sameSampling(const From& from) {
  To to{};
  for (size_t i = 0; i < std::size(from.addressMode); ++i) assign(to.addressMode[i], from.addressMode[i]);
  assign(to.filterMode, from.filterMode);
  assign(to.mipmapFilterMode, from.mipmapFilterMode);
  to.maxAnisotropy = from.maxAnisotropy;
  to.mipmapLevelBias = from.mipmapLevelBias;
  to.minMipmapLevelClamp = from.minMipmapLevelClamp;
  to.maxMipmapLevelClamp = from.maxMipmapLevelClamp;
  std::copy(std::begin(from.borderColor), std::end(from.borderColor), std::begin(to.borderColor));
  return to;
}

CUDA_TEXTURE_DESC driverForm(const cudaTextureDesc& texture) {
  auto out = sameSampling<CUDA_TEXTURE_DESC>(texture);
  if (texture.readMode == cudaReadModeElementType) out.flags |= CU_TRSF_READ_AS_INTEGER;
  if (texture.normalizedCoords != 0) out.flags |= CU_TRSF_NORMALIZED_COORDINATES;
  if (texture.sRGB != 0) out.flags |= CU_TRSF_SRGB;
  if (texture.disableTrilinearOptimization != 0) out.flags |= CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION;
  if (texture.seamlessCubemap != 0) out.flags |= CU_TRSF_SEAMLESS_CUBEMAP;
  return out;
}

cudaTextureDesc runtimeForm(const CUDA_TEXTURE_DESC& texture) {
  auto out = sameSampling<cudaTextureDesc>(texture);
  auto has = [&](unsigned flag) { return (texture.flags & flag) != 0 ? 1 : 0; };
  out.readMode = has(CU_TRSF_READ_AS_INTEGER) != 0 ? cudaReadModeElementType : cudaReadModeNormalizedFloat;
  out.normalizedCoords = has(CU_TRSF_NORMALIZED_COORDINATES);
  out.sRGB = has(CU_TRSF_SRGB);
  out.disableTrilinearOptimization = has(CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION);
  out.seamlessCubemap = has(CU_TRSF_SEAMLESS_CUBEMAP);
  return out;
}

// A view is the same in both interfaces.
template <class To, class From>
To sameView(const From& from) {
  To to{};
  assign(to.format, from.format);
  to.width = from.width, to.height = from.height, to.depth = from.depth;
  to.firstMipmapLevel = from.firstMipmapLevel, to.lastMipmapLevel = from.lastMipmapLevel;
  to.firstLayer = from.firstLayer, to.lastLayer = from.lastLayer;
  return to;
}

cudaError_t createTexture(cudaTextureObject_t* object, const cudaResourceDesc* resource,
                          const cudaTextureDesc* texture, const cudaResourceViewDesc* view) {
  if (object == nullptr || resource == nullptr || texture == nullptr) return cudaErrorInvalidValue;
  CUDA_RESOURCE_DESC resourceForm{};
  if (cudaError_t error = driverForm(*resource, &resourceForm); error != cudaSuccess) return error;
  CUDA_TEXTURE_DESC textureForm = driverForm(*texture);
  CUDA_RESOURCE_VIEW_DESC viewForm{};
  if (view != nullptr) viewForm = sameView<CUDA_RESOURCE_VIEW_DESC>(*view);
  return toRuntime(
      driver::cuTexObjectCreate(object, &resourceForm, &textureForm, view != nullptr ? &viewForm : nullptr));
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaCreateTextureObject(cudaTextureObject_t* object, const cudaResourceDesc* resource,
                                    const cudaTextureDesc* texture, const cudaResourceViewDesc* view) {
  return onContext([&] { return createTexture(object, resource, texture, view); });
}

cudaError_t cudaDestroyTextureObject(cudaTextureObject_t object) {
  return onContext([&] { return object == 0 ? CUDA_SUCCESS : driver::cuTexObjectDestroy(object); });
}

cudaError_t cudaGetTextureObjectResourceDesc(cudaResourceDesc* resource, cudaTextureObject_t object) {
  return onContext([&] {
    CUDA_RESOURCE_DESC found{};
    cudaError_t error = toRuntime(driver::cuTexObjectGetResourceDesc(&found, object));
    return error != cudaSuccess ? error : runtimeForm(found, resource);
  });
}

cudaError_t cudaGetTextureObjectTextureDesc(cudaTextureDesc* texture, cudaTextureObject_t object) {
  return onContext([&] {
    CUDA_TEXTURE_DESC found{};
    cudaError_t error = toRuntime(driver::cuTexObjectGetTextureDesc(&found, object));
    if (error == cudaSuccess) *texture = runtimeForm(found);
    return error;
  });
}

cudaError_t cudaGetTextureObjectResourceViewDesc(cudaResourceViewDesc* view, cudaTextureObject_t object) {
  return onContext([&] {
    CUDA_RESOURCE_VIEW_DESC found{};
    cudaError_t error = toRuntime(driver::cuTexObjectGetResourceViewDesc(&found, object));
    if (error == cudaSuccess) *view = sameView<cudaResourceViewDesc>(found);
    return error;
  });
}

cudaError_t cudaCreateSurfaceObject(cudaSurfaceObject_t* object, const cudaResourceDesc* resource) {
  return onContext([&] {
    CUDA_RESOURCE_DESC form{};
    if (object == nullptr || resource == nullptr) return cudaErrorInvalidValue;
    cudaError_t error = driverForm(*resource, &form);
    return error != cudaSuccess ? error : toRuntime(driver::cuSurfObjectCreate(object, &form));
  });
}

cudaError_t cudaDestroySurfaceObject(cudaSurfaceObject_t object) {
  return onContext([&] { return object == 0 ? CUDA_SUCCESS : driver::cuSurfObjectDestroy(object); });
}

cudaError_t cudaGetSurfaceObjectResourceDesc(cudaResourceDesc* resource, cudaSurfaceObject_t object) {
  return onContext([&] {
    CUDA_RESOURCE_DESC found{};
    cudaError_t error = toRuntime(driver::cuSurfObjectGetResourceDesc(&found, object));
    return error != cudaSuccess ? error : runtimeForm(found, resource);
  });
}

}  // extern "C"
