// Array formats: the runtime's channel descriptors and the driver's format and channel count. Any thread.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart {

struct ArrayFormat {
  CUarray_format format;
  unsigned channels;
};

// cudaErrorInvalidChannelDescriptor for a descriptor that no format has.
cudaError_t toDriver(const cudaChannelFormatDesc& channel, ArrayFormat* format);
cudaError_t toRuntime(CUarray_format format, unsigned channels, cudaChannelFormatDesc* channel);

// Bytes of one element of an array; 0 for formats whose elements are not whole bytes (block-compressed).
size_t elementBytes(CUarray_format format, unsigned channels);

}  // namespace vgpu::cudart
