// How a texture or surface instruction is packed into the 64-bit `operation` of HostServices::texture.
// Written by the translator as a constant, read by the driver on worker threads; owns nothing.
// Coordinates arrive as bits in Registers4 {x, y, z, w}; an array's layer is the register after the last
// coordinate.
#pragma once

#include <cstdint>

namespace vgpu::kernel {

enum class TextureAction : uint8_t {
  Fetch,
  FetchLevel,
  FetchGradient,
  Gather,
  SurfaceLoad,
  SurfaceStore,
  Query
};
enum class TextureGeometry : uint8_t { D1, D2, D3, Array1, Array2, Cube, CubeArray, Buffer };
enum class TextureType : uint8_t { F32, S32, U32, F16, B8, B16, B32, B64 };
enum class SurfaceBounds : uint8_t { Trap, Clamp, Zero };

struct TextureOperation {
  TextureAction action = TextureAction::Fetch;
  TextureGeometry geometry = TextureGeometry::D2;
  TextureType result = TextureType::F32;       // of the registers returned, or of the value stored
  TextureType coordinates = TextureType::F32;  // F32 or S32
  uint8_t components = 4;                      // 1, 2 or 4; for SurfaceStore what `extra` holds
  uint8_t detail = 0;  // gather: component; surface: SurfaceBounds; query: what is asked

  // FetchLevel: level (f32, or s32 for s32 coordinates) in extra[0]; FetchGradient: dx in extra[0..1], dy in
  // extra[2..3].
  constexpr uint64_t packed() const {
    return uint64_t(action) | uint64_t(geometry) << 8 | uint64_t(result) << 16 | uint64_t(coordinates) << 24 |
           uint64_t(components) << 32 | uint64_t(detail) << 40;
  }
  static constexpr TextureOperation unpack(uint64_t bits) {
    return {TextureAction(bits & 255),     TextureGeometry(bits >> 8 & 255),
            TextureType(bits >> 16 & 255), TextureType(bits >> 24 & 255),
            uint8_t(bits >> 32),           uint8_t(bits >> 40)};
  }
};

}  // namespace vgpu::kernel
