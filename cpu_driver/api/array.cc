#include <algorithm>

#include "cpu_driver/api/entry.h"
#include "cpu_driver/runtime/texture.h"

using namespace vgpu::cpu;

namespace {

CUresult create(CUarray* handle, const CUDA_ARRAY3D_DESCRIPTOR& description) {
  return withContextUncaptured([&](Context& context) {
    if (!handle) return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<Array> array;
    const CUresult result = createArray(context, description, &array);
    if (result != CUDA_SUCCESS) return result;
    *handle = driver().arrays.insert(std::move(array));
    return *handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
  });
}

template <class Body>
CUresult withArray(CUarray handle, Body&& body) {
  return withContext([&](Context&) -> CUresult {
    const Array* array = driver().arrays.find(handle);
    return array ? body(*array) : CUDA_ERROR_INVALID_HANDLE;
  });
}

CUDA_ARRAY3D_DESCRIPTOR level(CUDA_ARRAY3D_DESCRIPTOR description, unsigned number) {
  const auto half = [number](size_t extent) {
    return extent == 0 ? 0 : std::max<size_t>(1, extent >> number);
  };
  description.Width = half(description.Width);
  description.Height = half(description.Height);
  const bool layers = description.Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
  if (!layers) description.Depth = half(description.Depth);
  return description;
}

}  // namespace

extern "C" {

CUresult cuArrayCreate_v2(CUarray* array, const CUDA_ARRAY_DESCRIPTOR* description) {
  if (!description) return CUDA_ERROR_INVALID_VALUE;
  return create(
      array, {description->Width, description->Height, 0, description->Format, description->NumChannels, 0});
}

CUresult cuArray3DCreate_v2(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* description) {
  return description ? create(array, *description) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR* description, CUarray handle) {
  return withArray(handle, [&](const Array& array) {
    if (!description) return CUDA_ERROR_INVALID_VALUE;
    const auto& full = array.description;
    *description = {full.Width, full.Height, full.Format, full.NumChannels};
    return CUDA_SUCCESS;
  });
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR* description, CUarray handle) {
  return withArray(handle, [&](const Array& array) {
    if (!description) return CUDA_ERROR_INVALID_VALUE;
    *description = array.description;
    return CUDA_SUCCESS;
  });
}

CUresult cuArrayDestroy(CUarray handle) {
  return withContextUncaptured([&](Context& context) {
    if (!driver().arrays.find(handle)) return CUDA_ERROR_INVALID_HANDLE;
    context.synchronize();
    driver().arrays.remove(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* requirements, CUarray handle,
                                      CUdevice device) {
  return withArray(handle, [&](const Array& array) {
    if (!requirements) return CUDA_ERROR_INVALID_VALUE;
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    *requirements = {};
    requirements->size = array.memory->sizeBytes;
    requirements->alignment = kPageBytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray* handle, const CUDA_ARRAY3D_DESCRIPTOR* description,
                                unsigned levels) {
  return withContextUncaptured([&](Context& context) {
    if (!handle || !description || levels == 0 || levels > 32) return CUDA_ERROR_INVALID_VALUE;
    const size_t longest = std::max({description->Width, description->Height, description->Depth});
    unsigned most = 1;
    while (longest >> most != 0) ++most;
    auto mipmap = std::make_shared<MipmappedArray>();
    for (unsigned i = 0; i < std::min(levels, most); ++i) {
      std::shared_ptr<Array> array;
      const CUresult result = createArray(context, level(*description, i), &array);
      if (result != CUDA_SUCCESS) return result;
      mipmap->levels.push_back(driver().arrays.insert(std::move(array)));
    }
    *handle = driver().mipmaps.insert(std::move(mipmap));
    return CUDA_SUCCESS;
  });
}

CUresult cuMipmappedArrayGetLevel(CUarray* array, CUmipmappedArray handle, unsigned number) {
  return withContext([&](Context&) {
    const MipmappedArray* mipmap = driver().mipmaps.find(handle);
    if (!mipmap) return CUDA_ERROR_INVALID_HANDLE;
    if (!array || number >= mipmap->levels.size()) return CUDA_ERROR_INVALID_VALUE;
    *array = mipmap->levels[number];
    return CUDA_SUCCESS;
  });
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray handle) {
  return withContextUncaptured([&](Context& context) {
    if (!driver().mipmaps.find(handle)) return CUDA_ERROR_INVALID_HANDLE;
    context.synchronize();
    driver().mipmaps.remove(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuTexObjectCreate(CUtexObject* handle, const CUDA_RESOURCE_DESC* resource,
                           const CUDA_TEXTURE_DESC* description, const CUDA_RESOURCE_VIEW_DESC* view) {
  return withContext([&](Context&) {
    if (!handle || !resource || !description) return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<Texture> texture;
    const CUresult result = createTexture(*resource, *description, view, &texture);
    if (result != CUDA_SUCCESS) return result;
    *handle = driver().textures.insert(std::move(texture));
    return CUDA_SUCCESS;
  });
}

CUresult cuTexObjectDestroy(CUtexObject handle) {
  return withContext([&](Context& context) {
    if (!driver().textures.find(handle)) return CUDA_ERROR_INVALID_VALUE;
    context.synchronize();
    driver().textures.remove(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC* resource, CUtexObject handle) {
  return withContext([&](Context&) {
    const Texture* texture = driver().textures.find(handle);
    if (!texture || !resource) return CUDA_ERROR_INVALID_VALUE;
    *resource = texture->source.resource;
    return CUDA_SUCCESS;
  });
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC* description, CUtexObject handle) {
  return withContext([&](Context&) {
    const Texture* texture = driver().textures.find(handle);
    if (!texture || !description) return CUDA_ERROR_INVALID_VALUE;
    *description = texture->description;
    return CUDA_SUCCESS;
  });
}

CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC* view, CUtexObject handle) {
  return withContext([&](Context&) {
    const Texture* texture = driver().textures.find(handle);
    if (!texture || !view || !texture->hasView) return CUDA_ERROR_INVALID_VALUE;
    *view = texture->view;
    return CUDA_SUCCESS;
  });
}

CUresult cuSurfObjectCreate(CUsurfObject* handle, const CUDA_RESOURCE_DESC* resource) {
  return withContext([&](Context&) {
    if (!handle || !resource) return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<Surface> surface;
    const CUresult result = createSurface(*resource, &surface);
    if (result != CUDA_SUCCESS) return result;
    *handle = driver().surfaces.insert(std::move(surface));
    return CUDA_SUCCESS;
  });
}

CUresult cuSurfObjectDestroy(CUsurfObject handle) {
  return withContext([&](Context& context) {
    if (!driver().surfaces.find(handle)) return CUDA_ERROR_INVALID_VALUE;
    context.synchronize();
    driver().surfaces.remove(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC* resource, CUsurfObject handle) {
  return withContext([&](Context&) {
    const Surface* surface = driver().surfaces.find(handle);
    if (!surface || !resource) return CUDA_ERROR_INVALID_VALUE;
    *resource = surface->source.resource;
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
