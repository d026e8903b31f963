// Textures and surfaces: one service of the driver, told what to do by kernel/texture_operation.h.
#include "cpu_driver/jit/translate/function_translator.h"
#include "cpu_driver/kernel/texture_operation.h"

namespace vgpu::jit {
namespace {

using kernel::SurfaceBounds;
using kernel::TextureAction;
using kernel::TextureGeometry;
using kernel::TextureOperation;
using kernel::TextureType;

TextureType textureType(Type type) {
  switch (type) {
    case Type::S32:
      return TextureType::S32;
    case Type::U32:
      return TextureType::U32;
    case Type::F16:
    case Type::F16x2:
      return TextureType::F16;
    case Type::B8:
      return TextureType::B8;
    case Type::B16:
      return TextureType::B16;
    case Type::B32:
      return TextureType::B32;
    case Type::B64:
      return TextureType::B64;
    default:
      return TextureType::F32;
  }
}

uint32_t coordinateCount(TextureGeometry geometry) {
  switch (geometry) {
    case TextureGeometry::D1:
    case TextureGeometry::Buffer:
      return 1;
    case TextureGeometry::D2:
    case TextureGeometry::Array1:
      return 2;
    case TextureGeometry::CubeArray:
      return 4;
    default:
      return 3;
  }
}

bool isArray(const Instruction& i) {
  return i.has(Modifier::A1d) || i.has(Modifier::A2d) || i.has(Modifier::Acube);
}

}  // namespace

std::optional<uint8_t> FunctionTranslator::geometryOf(const Instruction& i) const {
  if (i.has(Modifier::D1d)) return uint8_t(TextureGeometry::D1);
  if (i.has(Modifier::D2d)) return uint8_t(TextureGeometry::D2);
  if (i.has(Modifier::D3d)) return uint8_t(TextureGeometry::D3);
  if (i.has(Modifier::A1d)) return uint8_t(TextureGeometry::Array1);
  if (i.has(Modifier::A2d)) return uint8_t(TextureGeometry::Array2);
  if (i.has(Modifier::Cube)) return uint8_t(TextureGeometry::Cube);
  if (i.has(Modifier::Acube)) return uint8_t(TextureGeometry::CubeArray);
  return std::nullopt;
}

// A handle in a register, or the one that a texture reference's variable holds.
llvm::Value* FunctionTranslator::textureHandle(const Instruction& i, const Operand& operand) {
  if (operand.kind == Operand::Kind::Register) return read(i, operand, Type::B64);
  return builder_.CreateAlignedLoad(intType(64), variablePointer(i, operand), llvm::Align(8));
}

// [object, {coordinates}]; an array's layer comes first in PTX and last in the operation.
bool FunctionTranslator::textureOperands(const Instruction& i, const Operand& operand, Type type,
                                         TextureOperands& out) {
  if (operand.kind != Operand::Kind::Texture || operand.count < 2) {
    invalid(i, "a texture operand is needed");
    return false;
  }
  if (operand.count > 2) {
    unsupported(i);  // a sampler of its own
    return false;
  }
  out.handle = textureHandle(i, element(operand, 0));
  const Operand& given = element(operand, 1);
  bool vector = given.kind == Operand::Kind::Vector;
  uint32_t count = vector ? std::min(given.count, 4u) : 1;
  for (uint32_t k = 0; k < count; ++k) {
    const Operand& one = vector ? element(given, k) : given;
    bool layer = isArray(i) && k == 0;
    out.coordinates[k] = toBits(read(i, one, layer ? Type::U32 : type));
  }
  out.count = count;
  uint32_t wanted = coordinateCount(TextureGeometry(geometryOf(i).value_or(0)));
  if (count < wanted) {
    invalid(i, "coordinates are missing");
    return false;
  }
  out.count = wanted;
  if (isArray(i)) std::rotate(out.coordinates, out.coordinates + 1, out.coordinates + wanted);
  return true;
}

llvm::Value* FunctionTranslator::registers4(llvm::ArrayRef<Value*> values) {
  auto* type = llvm::FixedVectorType::get(intType(32), 4);
  Value* packed = llvm::Constant::getNullValue(type);
  for (size_t k = 0; k < values.size() && k < 4; ++k) {
    if (values[k] != nullptr)
      packed = builder_.CreateInsertElement(packed, toBits(values[k]), builder_.getInt64(k));
  }
  return packed;
}

void FunctionTranslator::writeTexels(const Instruction& i, const Operand& to, Value* texels, Type type) {
  uint32_t count = to.kind == Operand::Kind::Vector ? to.count : 1;
  for (uint32_t k = 0; k < count && k < 4; ++k) {
    Value* bits = nullptr;
    if (ptx::bitsOf(type) == 64) {
      if (k > 1) return unsupported(i);
      Value* low =
          builder_.CreateZExt(builder_.CreateExtractElement(texels, builder_.getInt64(2 * k)), intType(64));
      Value* high = builder_.CreateZExt(builder_.CreateExtractElement(texels, builder_.getInt64(2 * k + 1)),
                                        intType(64));
      bits = builder_.CreateOr(low, builder_.CreateShl(high, 32));
    } else {
      bits = builder_.CreateExtractElement(texels, builder_.getInt64(k));
    }
    write(i, to.kind == Operand::Kind::Vector ? element(to, k) : to, fromBits(bits, type), type);
  }
}

void FunctionTranslator::texture(const Instruction& i) {
  auto geometry = geometryOf(i);
  TextureOperands operands;
  if (i.typeCount < 2 || !geometry || i.paired) return unsupported(i);
  if (!textureOperands(i, operand(i, 1), i.types[1], operands)) return;
  TextureOperation operation;
  operation.geometry = TextureGeometry(*geometry);
  operation.result = textureType(i.types[0]);
  operation.coordinates = textureType(i.types[1]);
  Value* extra[4] = {};
  if (i.has(Modifier::Level)) {
    operation.action = TextureAction::FetchLevel;
    extra[0] = read(i, 2, i.types[1]);
  } else if (i.has(Modifier::Grad)) {
    operation.action = TextureAction::FetchGradient;
    if (operation.geometry != TextureGeometry::D2 && operation.geometry != TextureGeometry::D1 &&
        operation.geometry != TextureGeometry::Array2 && operation.geometry != TextureGeometry::Array1) {
      return unsupported(i);
    }
    for (size_t side = 0; side < 2; ++side) {
      const Operand& gradient = operand(i, 2 + side);
      bool vector = gradient.kind == Operand::Kind::Vector;
      extra[2 * side] = read(i, vector ? element(gradient, 0) : gradient, Type::F32);
      if (vector && gradient.count > 1) extra[2 * side + 1] = read(i, element(gradient, 1), Type::F32);
    }
  } else if (i.operandCount > 2) {
    return unsupported(i);  // offsets and depth comparison
  }
  Value* texels = mark(Marker::Texture, {operands.handle, builder_.getInt64(operation.packed()),
                                         registers4(operands.coordinates), registers4(extra)});
  if (i.types[0] == Type::F16 || i.types[0] == Type::F16x2) return unsupported(i);
  writeTexels(i, operand(i, 0), texels, i.types[0]);
}

void FunctionTranslator::gather(const Instruction& i) {
  auto geometry = geometryOf(i);
  TextureOperands operands;
  if (i.typeCount < 2 || !geometry || i.operandCount > 2) return unsupported(i);
  if (!textureOperands(i, operand(i, 1), i.types[1], operands)) return;
  TextureOperation operation;
  operation.action = TextureAction::Gather;
  operation.geometry = TextureGeometry(*geometry);
  operation.result = textureType(i.types[0]);
  operation.detail = i.has(Modifier::G) ? 1 : i.has(Modifier::B) ? 2 : i.has(Modifier::A) ? 3 : 0;
  Value* texels = mark(Marker::Texture, {operands.handle, builder_.getInt64(operation.packed()),
                                         registers4(operands.coordinates), registers4({})});
  writeTexels(i, operand(i, 0), texels, i.types[0]);
}

// `detail`: the place of what is asked in the list of PTX's query words, width first.
void FunctionTranslator::textureQuery(const Instruction& i) {
  static constexpr Modifier kQueries[] = {
      Modifier::Width,           Modifier::Height,          Modifier::Depth,
      Modifier::ChannelDataType, Modifier::ChannelOrder,    Modifier::NormalizedCoords,
      Modifier::ArraySize,       Modifier::NumMipmapLevels, Modifier::NumSamples};
  TextureOperation operation;
  operation.action = TextureAction::Query;
  operation.detail = 255;
  for (size_t k = 0; k < std::size(kQueries); ++k) {
    if (i.has(kQueries[k])) operation.detail = static_cast<uint8_t>(k);
  }
  const Operand& object = operand(i, 1);
  if (operation.detail == 255 || object.kind != Operand::Kind::Address) return unsupported(i);
  Value* level = i.operandCount > 2 ? read(i, 2, Type::B32) : i32(0);
  Value* texels =
      mark(Marker::Texture, {textureHandle(i, element(object, 0)), builder_.getInt64(operation.packed()),
                             registers4({}), registers4({level})});
  write(i, 0, builder_.CreateExtractElement(texels, uint64_t{0}), Type::B32);
}

namespace {
SurfaceBounds boundsOf(const Instruction& i) {
  return i.has(Modifier::Clamp)  ? SurfaceBounds::Clamp
         : i.has(Modifier::Zero) ? SurfaceBounds::Zero
                                 : SurfaceBounds::Trap;
}
uint8_t componentsOf(const Instruction& i) { return i.has(Modifier::V4) ? 4 : i.has(Modifier::V2) ? 2 : 1; }
}  // namespace

void FunctionTranslator::surfaceLoad(const Instruction& i) {
  auto geometry = geometryOf(i);
  TextureOperands operands;
  if (i.typeCount < 1 || !geometry || !i.has(Modifier::B)) return unsupported(i);
  if (!textureOperands(i, operand(i, 1), Type::S32, operands)) return;
  TextureOperation operation{TextureAction::SurfaceLoad,
                             TextureGeometry(*geometry),
                             textureType(i.types[0]),
                             TextureType::S32,
                             componentsOf(i),
                             uint8_t(boundsOf(i))};
  Value* texels = mark(Marker::Texture, {operands.handle, builder_.getInt64(operation.packed()),
                                         registers4(operands.coordinates), registers4({})});
  writeTexels(i, operand(i, 0), texels, i.types[0]);
}

void FunctionTranslator::surfaceStore(const Instruction& i) {
  auto geometry = geometryOf(i);
  TextureOperands operands;
  if (i.typeCount < 1 || !geometry || !i.has(Modifier::B)) return unsupported(i);
  if (!textureOperands(i, operand(i, 0), Type::S32, operands)) return;
  TextureOperation operation{TextureAction::SurfaceStore,
                             TextureGeometry(*geometry),
                             textureType(i.types[0]),
                             TextureType::S32,
                             componentsOf(i),
                             uint8_t(boundsOf(i))};
  const Operand& from = operand(i, 1);
  bool vector = from.kind == Operand::Kind::Vector;
  Value* values[4] = {};
  for (uint32_t k = 0; k < (vector ? from.count : 1) && k < 4; ++k) {
    Value* bits = toBits(read(i, vector ? element(from, k) : from, i.types[0]));
    if (bits->getType()->getIntegerBitWidth() == 64) {
      if (k > 1) return unsupported(i);
      values[2 * k] = builder_.CreateTrunc(bits, intType(32));
      values[2 * k + 1] = builder_.CreateTrunc(builder_.CreateLShr(bits, 32), intType(32));
    } else {
      values[k] = builder_.CreateZExtOrTrunc(bits, intType(32));
    }
  }
  mark(Marker::Texture, {operands.handle, builder_.getInt64(operation.packed()),
                         registers4(operands.coordinates), registers4(values)});
}

}  // namespace vgpu::jit
