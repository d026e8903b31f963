// Arrays, and the texture and surface objects that kernels read and write through. Any thread; the driver's
// tables own them. An array is pitched rows of its own memory; an object keeps what it was made from alive,
// as long as it lives.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu_driver/runtime/address_map.h"
#include "cpu_driver/runtime/copy.h"
#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

class Context;

// Bytes of a channel, 0 for a format that is not supported here (block-compressed, multi-planar).
unsigned channelBytes(CUarray_format format);

struct Array {
  CUDA_ARRAY3D_DESCRIPTOR description{};  // Height 0: one-dimensional; Depth: slices or layers
  unsigned elementBytes = 0;
  Layout layout;
  std::shared_ptr<Allocation> memory;

  size_t width() const { return description.Width; }
  size_t rows() const { return description.Height ? description.Height : 1; }
  size_t slices() const { return description.Depth ? description.Depth : 1; }
  bool layered() const { return description.Flags & CUDA_ARRAY3D_LAYERED; }
  bool cube() const { return description.Flags & CUDA_ARRAY3D_CUBEMAP; }
  ~Array();
};

CUresult createArray(Context& context, const CUDA_ARRAY3D_DESCRIPTOR& description,
                     std::shared_ptr<Array>* array);

struct MipmappedArray {
  std::vector<CUarray> levels;
  ~MipmappedArray();
};

// What a texture or surface reads: an array, or memory seen as rows of elements.
struct TextureSource {
  CUDA_RESOURCE_DESC resource{};
  std::vector<std::shared_ptr<Array>> levels;  // arrays
  CUarray_format format = CU_AD_FORMAT_UNSIGNED_INT8;
  unsigned channels = 1;
  unsigned elementBytes = 1;
  size_t width = 0, height = 0, depth = 0;  // of the first level; 0: that dimension is not there
  Layout layout;
};

struct Texture {
  TextureSource source;
  CUDA_TEXTURE_DESC description{};
  CUDA_RESOURCE_VIEW_DESC view{};
  bool hasView = false;
};

struct Surface {
  TextureSource source;
};

CUresult createTexture(const CUDA_RESOURCE_DESC& resource, const CUDA_TEXTURE_DESC& description,
                       const CUDA_RESOURCE_VIEW_DESC* view, std::shared_ptr<Texture>* texture);
CUresult createSurface(const CUDA_RESOURCE_DESC& resource, std::shared_ptr<Surface>* surface);

}  // namespace vgpu::cpu
