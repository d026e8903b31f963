#include "cpu_driver/runtime/texture.h"

#include <cstring>

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/driver.h"

namespace vgpu::cpu {
namespace {

// Rows begin where vector loads like them; programs never see it, arrays are opaque.
constexpr size_t kRowAlignment = 64;

CUresult fromArrays(const std::vector<CUarray>& handles, TextureSource* source) {
  for (const CUarray handle : handles) {
    auto array = driver().arrays.share(handle);
    if (!array) return CUDA_ERROR_INVALID_HANDLE;
    source->levels.push_back(std::move(array));
  }
  const Array& first = *source->levels.front();
  source->format = first.description.Format;
  source->channels = first.description.NumChannels;
  source->elementBytes = first.elementBytes;
  source->width = first.description.Width;
  source->height = first.description.Height;
  source->depth = first.description.Depth;
  source->layout = first.layout;
  return CUDA_SUCCESS;
}

CUresult fromMemory(CUdeviceptr base, CUarray_format format, unsigned channels, TextureSource* source) {
  const unsigned bytes = channelBytes(format);
  if (bytes == 0 || (channels != 1 && channels != 2 && channels != 4)) return CUDA_ERROR_INVALID_VALUE;
  source->format = format;
  source->channels = channels;
  source->elementBytes = bytes * channels;
  source->layout.base = reinterpret_cast<std::byte*>(base);
  return CUDA_SUCCESS;
}

CUresult makeSource(const CUDA_RESOURCE_DESC& resource, TextureSource* source) {
  if (resource.flags != 0) return CUDA_ERROR_INVALID_VALUE;  // cuda.h, CUDA_RESOURCE_DESC
  source->resource = resource;
  switch (resource.resType) {
    case CU_RESOURCE_TYPE_ARRAY:
      return fromArrays({resource.res.array.hArray}, source);
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY: {
      const auto mipmap = driver().mipmaps.share(resource.res.mipmap.hMipmappedArray);
      return mipmap ? fromArrays(mipmap->levels, source) : CUDA_ERROR_INVALID_HANDLE;
    }
    case CU_RESOURCE_TYPE_LINEAR: {
      const auto& linear = resource.res.linear;
      const CUresult result = fromMemory(linear.devPtr, linear.format, linear.numChannels, source);
      if (result != CUDA_SUCCESS) return result;
      if (!driver().memory().addresses().covers(linear.devPtr, linear.sizeInBytes))
        return CUDA_ERROR_INVALID_VALUE;
      source->width = linear.sizeInBytes / source->elementBytes;
      return CUDA_SUCCESS;
    }
    case CU_RESOURCE_TYPE_PITCH2D: {
      const auto& pitched = resource.res.pitch2D;
      const CUresult result = fromMemory(pitched.devPtr, pitched.format, pitched.numChannels, source);
      if (result != CUDA_SUCCESS) return result;
      const size_t rowBytes = pitched.width * source->elementBytes;
      if (pitched.height == 0 || pitched.pitchInBytes < rowBytes) return CUDA_ERROR_INVALID_VALUE;
      const size_t bytes = pitched.pitchInBytes * (pitched.height - 1) + rowBytes;
      if (!driver().memory().addresses().covers(pitched.devPtr, bytes)) return CUDA_ERROR_INVALID_VALUE;
      source->width = pitched.width;
      source->height = pitched.height;
      source->layout.pitchBytes = pitched.pitchInBytes;
      return CUDA_SUCCESS;
    }
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace

unsigned channelBytes(CUarray_format format) {
  switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
      return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
      return 2;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
      return 4;
    default:
      return 0;
  }
}

Array::~Array() {
  if (memory) driver().memory().release(memory);
}

MipmappedArray::~MipmappedArray() {
  for (const CUarray level : levels) driver().arrays.remove(level);
}

CUresult createArray(Context& context, const CUDA_ARRAY3D_DESCRIPTOR& description,
                     std::shared_ptr<Array>* array) {
  const unsigned channel = channelBytes(description.Format);
  const unsigned channels = description.NumChannels;
  if (channel == 0) return CUDA_ERROR_NOT_SUPPORTED;
  if (channels != 1 && channels != 2 && channels != 4) return CUDA_ERROR_INVALID_VALUE;
  if (description.Width == 0 ||
      (description.Depth != 0 && description.Height == 0 && !(description.Flags & CUDA_ARRAY3D_LAYERED))) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (description.Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING))
    return CUDA_ERROR_NOT_SUPPORTED;
  const bool cube = description.Flags & CUDA_ARRAY3D_CUBEMAP;
  if (cube && (description.Width != description.Height || description.Depth % 6 != 0))
    return CUDA_ERROR_INVALID_VALUE;
  constexpr size_t kMost = 131072;
  if (description.Width > kMost || description.Height > kMost || description.Depth > 16384)
    return CUDA_ERROR_INVALID_VALUE;

  auto made = std::make_shared<Array>();
  made->description = description;
  made->elementBytes = channel * channels;
  const size_t pitch = (description.Width * made->elementBytes + kRowAlignment - 1) & ~(kRowAlignment - 1);
  const size_t slice = pitch * made->rows();
  const size_t bytes = slice * made->slices();
  const CUresult result = driver().memory().allocate(context, bytes, MemoryKind::Global, 0, &made->memory);
  if (result != CUDA_SUCCESS) return result;
  made->layout = {reinterpret_cast<std::byte*>(made->memory->base), pitch, slice};
  *array = std::move(made);
  return CUDA_SUCCESS;
}

namespace {

// What cuda.h calls the format of an array seen as it is; the enumeration counts channels within a format.
CUresourceViewFormat viewFormatOf(const TextureSource& source) {
  const unsigned channels = source.channels == 4 ? 2 : source.channels - 1;
  const auto from = [&](CUresourceViewFormat first) {
    return static_cast<CUresourceViewFormat>(first + channels);
  };
  switch (source.format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
      return from(CU_RES_VIEW_FORMAT_UINT_1X8);
    case CU_AD_FORMAT_SIGNED_INT8:
      return from(CU_RES_VIEW_FORMAT_SINT_1X8);
    case CU_AD_FORMAT_UNSIGNED_INT16:
      return from(CU_RES_VIEW_FORMAT_UINT_1X16);
    case CU_AD_FORMAT_SIGNED_INT16:
      return from(CU_RES_VIEW_FORMAT_SINT_1X16);
    case CU_AD_FORMAT_UNSIGNED_INT32:
      return from(CU_RES_VIEW_FORMAT_UINT_1X32);
    case CU_AD_FORMAT_SIGNED_INT32:
      return from(CU_RES_VIEW_FORMAT_SINT_1X32);
    case CU_AD_FORMAT_HALF:
      return from(CU_RES_VIEW_FORMAT_FLOAT_1X16);
    default:
      return from(CU_RES_VIEW_FORMAT_FLOAT_1X32);
  }
}

// A view of the whole array, as it is. One of a part or in another format is refused: nothing here reads
// through it.
CUresult checkView(const TextureSource& source, const CUDA_RESOURCE_VIEW_DESC& view) {
  if (source.levels.empty()) return CUDA_ERROR_INVALID_VALUE;  // memory has none
  const bool layered = source.levels.front()->layered();
  const bool whole = view.width == source.width && view.height == source.height &&
                     view.depth == source.depth && view.firstMipmapLevel == 0 &&
                     view.lastMipmapLevel == source.levels.size() - 1 && view.firstLayer == 0 &&
                     (view.lastLayer == 0 || (layered && view.lastLayer == source.depth - 1));
  const bool asItIs = view.format == CU_RES_VIEW_FORMAT_NONE || view.format == viewFormatOf(source);
  return whole && asItIs ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

// What the program wrote for an enumeration; it may be none of its values, and must not be read as one.
template <class Enumeration>
uint32_t written(const Enumeration& mode) {
  uint32_t bits;
  static_assert(sizeof bits == sizeof mode);
  std::memcpy(&bits, &mode, sizeof bits);
  return bits;
}

bool isFilter(const CUfilter_mode& mode) { return written(mode) <= CU_TR_FILTER_MODE_LINEAR; }

// Whatever a description asks for is either done or refused here.
CUresult checkDescription(const TextureSource& source, const CUDA_TEXTURE_DESC& description) {
  constexpr unsigned kFlags = CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |
                              CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP;
  if (description.flags & ~kFlags) return CUDA_ERROR_INVALID_VALUE;
  if (!isFilter(description.filterMode) || !isFilter(description.mipmapFilterMode))
    return CUDA_ERROR_INVALID_VALUE;
  for (const CUaddress_mode& mode : description.addressMode) {
    if (written(mode) > CU_TR_ADDRESS_MODE_BORDER) return CUDA_ERROR_INVALID_VALUE;
  }
  // Linear filtering gives floating-point results; 32-bit integers cannot be read so.
  const bool integers = description.flags & CU_TRSF_READ_AS_INTEGER;
  const bool wide =
      source.format == CU_AD_FORMAT_UNSIGNED_INT32 || source.format == CU_AD_FORMAT_SIGNED_INT32;
  const bool floating = source.format == CU_AD_FORMAT_FLOAT || source.format == CU_AD_FORMAT_HALF;
  const bool linear = description.filterMode == CU_TR_FILTER_MODE_LINEAR;
  if (linear && !floating && (integers || wide)) return CUDA_ERROR_INVALID_VALUE;
  // sRGB is an encoding of 8-bit colours; what a device does with the flag elsewhere is not said.
  const bool colours = source.format == CU_AD_FORMAT_UNSIGNED_INT8 && !integers;
  if ((description.flags & CU_TRSF_SRGB) && !colours) return CUDA_ERROR_NOT_SUPPORTED;
  // Anisotropy is about the footprint that gradients give a fetch among mipmap levels; with one level there
  // is none, and nothing to ask for. Filtering across a cube's edges matters only where there is filtering.
  if (description.maxAnisotropy > 1 && source.levels.size() > 1) return CUDA_ERROR_NOT_SUPPORTED;
  const bool cube = !source.levels.empty() && source.levels.front()->cube();
  if ((description.flags & CU_TRSF_SEAMLESS_CUBEMAP) && cube && linear) return CUDA_ERROR_NOT_SUPPORTED;
  return CUDA_SUCCESS;
}

}  // namespace

CUresult createTexture(const CUDA_RESOURCE_DESC& resource, const CUDA_TEXTURE_DESC& description,
                       const CUDA_RESOURCE_VIEW_DESC* view, std::shared_ptr<Texture>* texture) {
  auto made = std::make_shared<Texture>();
  CUresult result = makeSource(resource, &made->source);
  if (result == CUDA_SUCCESS) result = checkDescription(made->source, description);
  if (result == CUDA_SUCCESS && view) result = checkView(made->source, *view);
  if (result != CUDA_SUCCESS) return result;
  made->description = description;
  if (view) {
    made->view = *view;
    made->hasView = true;
  }
  *texture = std::move(made);
  return CUDA_SUCCESS;
}

CUresult createSurface(const CUDA_RESOURCE_DESC& resource, std::shared_ptr<Surface>* surface) {
  if (resource.resType != CU_RESOURCE_TYPE_ARRAY) return CUDA_ERROR_INVALID_VALUE;
  auto made = std::make_shared<Surface>();
  const CUresult result = makeSource(resource, &made->source);
  if (result != CUDA_SUCCESS) return result;
  if (!(made->source.levels.front()->description.Flags & CUDA_ARRAY3D_SURFACE_LDST))
    return CUDA_ERROR_INVALID_VALUE;
  *surface = std::move(made);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::cpu
