#include "cpu_driver/runtime/texture_unit.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "cpu_driver/kernel/texture_operation.h"
#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/driver.h"
#include "cpu_driver/runtime/sampler.h"

namespace vgpu::cpu {
namespace {

using kernel::Registers4;
using kernel::SurfaceBounds;
using kernel::TextureAction;
using kernel::TextureGeometry;
using kernel::TextureOperation;
using kernel::TextureType;

Registers4 fail(kernel::LaunchContext* launch, CUresult error) {
  static_cast<Context*>(launch->driver)->fail(error);
  launch->stopped.store(1, std::memory_order_release);
  return Registers4{};
}

unsigned coordinatesOf(TextureGeometry geometry) {
  switch (geometry) {
    case TextureGeometry::D1:
    case TextureGeometry::Array1:
    case TextureGeometry::Buffer:
      return 1;
    case TextureGeometry::D2:
    case TextureGeometry::Array2:
      return 2;
    default:
      return 3;
  }
}

bool hasLayer(TextureGeometry geometry) {
  return geometry == TextureGeometry::Array1 || geometry == TextureGeometry::Array2 ||
         geometry == TextureGeometry::CubeArray;
}

TexturePoint pointOf(const TextureOperation& operation, Registers4 bits) {
  TexturePoint point;
  const unsigned count = coordinatesOf(operation.geometry);
  point.dimensions =
      operation.geometry == TextureGeometry::Cube || operation.geometry == TextureGeometry::CubeArray ? 2
                                                                                                      : count;
  point.integer = operation.coordinates == TextureType::S32;
  for (unsigned i = 0; i < count; ++i) {
    point.at[i] = point.integer ? static_cast<float>(bits[i]) : std::bit_cast<float>(bits[i]);
    point.index[i] = bits[i];
  }
  if (hasLayer(operation.geometry)) point.layer = static_cast<uint32_t>(bits[count]);
  point.layered = hasLayer(operation.geometry);
  return point;
}

Registers4 query(kernel::LaunchContext* launch, const Texture& texture, const TextureOperation& operation) {
  const TextureSource& source = texture.source;
  uint64_t value = 0;
  switch (operation.detail) {
    case 0:
      value = source.width;
      break;
    case 1:
      value = source.height;
      break;
    case 2:
      value = source.depth;
      break;
    case 5:
      value = texture.description.flags & CU_TRSF_NORMALIZED_COORDINATES ? 1 : 0;
      break;
    case 6:
      value = source.depth;
      break;
    case 7:
      value = std::max<size_t>(1, source.levels.size());
      break;
    default:
      return fail(launch, CUDA_ERROR_NOT_SUPPORTED);
  }
  return Registers4{static_cast<int32_t>(value)};
}

Registers4 fetch(kernel::LaunchContext* launch, uint64_t handle, const TextureOperation& operation,
                 Registers4 coordinates, Registers4 extra) {
  const Texture* texture = driver().textures.find(handle);
  if (!texture) return fail(launch, CUDA_ERROR_ILLEGAL_ADDRESS);
  if (operation.action == TextureAction::Query) return query(launch, *texture, operation);
  TexturePoint point = pointOf(operation, coordinates);
  const bool cube =
      operation.geometry == TextureGeometry::Cube || operation.geometry == TextureGeometry::CubeArray;
  if (cube) toCubeFace(point);
  if (operation.action == TextureAction::Gather) return gatherTexels(*texture, point, operation.detail);
  float level = 0;
  if (operation.action == TextureAction::FetchLevel) {
    level = point.integer ? static_cast<float>(extra[0]) : std::bit_cast<float>(extra[0]);
  } else if (operation.action == TextureAction::FetchGradient) {
    float gradients[4];
    for (int i = 0; i < 4; ++i) gradients[i] = std::bit_cast<float>(extra[i]);
    level = levelOfGradients(*texture, gradients);
  }
  return sampleTexture(*texture, point, level);
}

unsigned bytesOf(TextureType type) {
  switch (type) {
    case TextureType::B8:
      return 1;
    case TextureType::B16:
      return 2;
    case TextureType::B64:
      return 8;
    default:
      return 4;
  }
}

// The address of a surface access, or null where it is out of bounds. x counts bytes.
std::byte* surfaceAddress(const TextureSource& source, const TextureOperation& operation, Registers4 at,
                          unsigned bytes, bool clamp) {
  const unsigned count = coordinatesOf(operation.geometry);
  const auto rowBytes = static_cast<int64_t>(source.width * source.elementBytes);
  const int64_t limits[3] = {rowBytes - bytes + 1, static_cast<int64_t>(std::max<size_t>(1, source.height)),
                             static_cast<int64_t>(std::max<size_t>(1, source.depth))};
  int64_t position[3] = {};
  for (unsigned i = 0; i < count; ++i) position[i] = at[i];
  if (hasLayer(operation.geometry)) position[2] = at[count];
  for (unsigned i = 0; i < 3; ++i) {
    if (position[i] >= 0 && position[i] < limits[i]) continue;
    if (!clamp) return nullptr;
    position[i] = std::clamp<int64_t>(position[i], 0, limits[i] - 1);
  }
  if (position[0] % bytes != 0) return nullptr;
  return source.layout.base + static_cast<size_t>(position[2]) * source.layout.sliceBytes +
         static_cast<size_t>(position[1]) * source.layout.pitchBytes + position[0];
}

Registers4 surface(kernel::LaunchContext* launch, uint64_t handle, const TextureOperation& operation,
                   Registers4 coordinates, Registers4 values) {
  const Surface* object = driver().surfaces.find(handle);
  if (!object) return fail(launch, CUDA_ERROR_ILLEGAL_ADDRESS);
  const unsigned unit = bytesOf(operation.result);
  const unsigned bytes = unit * operation.components;
  const auto bounds = static_cast<SurfaceBounds>(operation.detail);
  std::byte* address =
      surfaceAddress(object->source, operation, coordinates, bytes, bounds == SurfaceBounds::Clamp);
  Registers4 result{};
  if (!address) return bounds == SurfaceBounds::Trap ? fail(launch, CUDA_ERROR_ILLEGAL_ADDRESS) : result;
  // A 64-bit component takes two registers.
  const unsigned registers = unit == 8 ? 2 : 1;
  const unsigned part = unit == 8 ? 4 : unit;
  for (unsigned i = 0; i < operation.components * registers && i < 4; ++i) {
    if (operation.action == TextureAction::SurfaceStore) {
      const int32_t value = values[i];
      std::memcpy(address + i * part, &value, part);
    } else {
      int32_t value = 0;
      std::memcpy(&value, address + i * part, part);
      result[i] = value;
    }
  }
  return result;
}

}  // namespace

Registers4 textureOperation(kernel::LaunchContext* launch, uint64_t handle, uint64_t packed,
                            Registers4 coordinates, Registers4 extra) {
  const TextureOperation operation = TextureOperation::unpack(packed);
  if (operation.action == TextureAction::SurfaceLoad || operation.action == TextureAction::SurfaceStore) {
    return surface(launch, handle, operation, coordinates, extra);
  }
  return fetch(launch, handle, operation, coordinates, extra);
}

}  // namespace vgpu::cpu
