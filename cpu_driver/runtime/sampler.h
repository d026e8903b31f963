// Sampling of a texture: addressing, filtering and conversion, as the programming guide's appendix "Texture
// Fetching" says. Worker threads, on a kernel's small stack. Coordinates are the kernel's and may be
// anything, also NaN.
#pragma once

#include <cstdint>

#include "cpu_driver/kernel/abi.h"
#include "cpu_driver/runtime/texture.h"

namespace vgpu::cpu {

struct TexturePoint {
  float at[3] = {};
  int32_t index[3] = {};  // the same where coordinates are integers
  unsigned dimensions = 1;
  bool integer = false;
  bool layered = false;
  uint32_t layer = 0;
};

// Turns a direction into a face (layer) and coordinates on it.
void toCubeFace(TexturePoint& point);

kernel::Registers4 sampleTexture(const Texture& texture, const TexturePoint& point, float level);
// One component of the four texels that linear filtering would read.
kernel::Registers4 gatherTexels(const Texture& texture, const TexturePoint& point, unsigned component);
// {dx/dx, dy/dx, dx/dy, dy/dy} of the coordinates.
float levelOfGradients(const Texture& texture, const float (&gradients)[4]);

}  // namespace vgpu::cpu
