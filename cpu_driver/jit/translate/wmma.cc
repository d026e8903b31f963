// wmma: load, mma, store. A fragment's place is that of the mma of the same shape
// (kernel/matrix_operation.h), so each lane loads and stores its own elements; the lanes wait for each other
// first, because other lanes may have written, or have yet to read, the same memory (PTX ISA, wmma.load and
// wmma.store: .sync).
#include <algorithm>

#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {
namespace {

using kernel::MatrixElement;
using kernel::MatrixOperation;

std::optional<MatrixElement> elementOf(Type type, bool sum) {
  switch (type) {
    case Type::F16:
      return MatrixElement::F16;
    case Type::F64:
      return MatrixElement::F64;
    case Type::F32:
      return sum ? std::optional(MatrixElement::F32) : std::nullopt;
    case Type::S32:
      return sum ? std::optional(MatrixElement::S32) : std::nullopt;
    case Type::BF16:
      return sum ? std::nullopt : std::optional(MatrixElement::BF16);
    case Type::TF32:
      return sum ? std::nullopt : std::optional(MatrixElement::TF32);
    case Type::S8:
    case Type::U8:
      return sum ? std::nullopt : std::optional(MatrixElement::U8);
    case Type::S4:
    case Type::U4:
      return sum ? std::nullopt : std::optional(MatrixElement::U4);
    case Type::B1:
      return sum ? std::nullopt : std::optional(MatrixElement::B1);
    default:
      return std::nullopt;
  }
}

}  // namespace

void FunctionTranslator::wmma(const Instruction& i) {
  const auto operation = matrixOperation(i);
  if (!operation || i.typeCount == 0) return unsupported(i);
  if (i.has(Modifier::Mma)) {
    if (i.operandCount != 4) return invalid(i, "four operands are needed");
    return multiplyMatrices(i, *operation);
  }
  const bool loads = i.has(Modifier::Load);
  if (i.typeCount != 1 || (!loads && !i.has(Modifier::Store))) return unsupported(i);
  const MatrixRole role = i.has(Modifier::A)   ? MatrixRole::A
                          : i.has(Modifier::B) ? MatrixRole::B
                                               : MatrixRole::C;
  transferFragment(i, *operation, role, loads);
}

// 32 bits of elements that lie `stride` apart, or side by side where that is known.
llvm::Value* FunctionTranslator::fragmentWord(const Access& access, Value* first, Value* stride,
                                              unsigned bits) {
  if (stride == nullptr) return loadElement(access, first, Type::B32, std::clamp(bits / 8, 1u, 4u));
  Value* word = i32(0);
  for (unsigned e = 0; e < 32 / bits; ++e) {
    Value* at = builder_.CreatePtrAdd(first, builder_.CreateMul(stride, builder_.getInt64(e)));
    Value* element = loadElement(access, at, bits == 16 ? Type::B16 : Type::B8, bits / 8);
    word = builder_.CreateOr(word, builder_.CreateShl(builder_.CreateZExt(element, intType(32)), e * bits));
  }
  return word;
}

void FunctionTranslator::storeFragmentWord(const Access& access, Value* first, Value* stride, unsigned bits,
                                           Value* word) {
  if (stride == nullptr) return storeElement(access, first, word, std::clamp(bits / 8, 1u, 4u));
  for (unsigned e = 0; e < 32 / bits; ++e) {
    Value* at = builder_.CreatePtrAdd(first, builder_.CreateMul(stride, builder_.getInt64(e)));
    storeElement(access, at, builder_.CreateTrunc(builder_.CreateLShr(word, e * bits), intType(bits)),
                 bits / 8);
  }
}

void FunctionTranslator::transferFragment(const Instruction& i, const MatrixOperation& operation,
                                          MatrixRole role, bool loads) {
  const auto element = elementOf(i.types[0], role == MatrixRole::C);
  if (!element) return unsupported(i);
  const uint32_t rows = role == MatrixRole::B ? operation.depth : operation.rows;
  const uint32_t columns = role == MatrixRole::A ? operation.depth : operation.columns;
  const unsigned bits = kernel::bitsOf(*element);
  const bool byRows = i.has(Modifier::Row);
  // The elements of a register lie along the row, in B along the column.
  const bool together = byRows != (role == MatrixRole::B);
  if (bits < 8 && !together)
    return invalid(i, "elements of less than a byte need A by rows and B by columns");
  const uint32_t perUnit = bits == 64 ? 1 : 32 / bits;
  const uint32_t units = rows * columns / 32 / perUnit;
  const Operand& registers = operand(i, loads ? 0 : 1);
  if (registers.kind != Operand::Kind::Vector || registers.count % units != 0 || registers.count == 0)
    return invalid(i, "the fragment has the wrong number of registers");

  mark(Marker::WarpSync, {i32(~0u)});
  const Access access = accessOf(i);
  Value* base = addressOf(i, operand(i, loads ? 1 : 0), i.space);
  Value* stride = i.operandCount > 2 ? read(i, 2, Type::U32) : i32(byRows ? columns : rows);
  stride = builder_.CreateZExt(stride, intType(64));
  // Rows (or columns) lie `pitch` bytes apart.
  Value* pitch = builder_.CreateLShr(builder_.CreateMul(stride, builder_.getInt64(bits)), 3);
  Value* lane = mark(Marker::LaneId);
  Value* group = builder_.CreateZExt(builder_.CreateLShr(lane, 2), intType(64));
  Value* within = builder_.CreateZExt(builder_.CreateAnd(lane, i32(3)), intType(64));
  for (uint32_t unit = 0; unit < units; ++unit) {
    // Where lane 0 has it; then what group and place within the group add.
    const uint32_t index = unit * perUnit;
    const uint32_t sumStep = role == MatrixRole::C ? 2 : perUnit;
    const kernel::MatrixPlace at = role == MatrixRole::A ? kernel::placeInA(rows, perUnit, units, 0, unit)
                                   : role == MatrixRole::B
                                       ? kernel::placeInB(columns, perUnit, units, 0, unit)
                                       : kernel::placeInC(rows, 0, index);
    Value* along = builder_.CreateMul(within, builder_.getInt64(sumStep));
    Value* row = builder_.CreateAdd(role == MatrixRole::B ? along : group, builder_.getInt64(at.row));
    Value* column = builder_.CreateAdd(role == MatrixRole::B ? group : along, builder_.getInt64(at.column));
    Value* line = builder_.CreateMul(byRows ? row : column, pitch);
    Value* inLine =
        builder_.CreateLShr(builder_.CreateMul(byRows ? column : row, builder_.getInt64(bits)), 3);
    Value* first = builder_.CreatePtrAdd(base, builder_.CreateAdd(line, inLine));
    if (bits >= 32) {
      const Type type = bits == 64 ? Type::F64 : *element == MatrixElement::F32 ? Type::F32 : Type::B32;
      for (uint32_t copy = unit; copy < (loads ? registers.count : units); copy += units) {
        const Operand& own = this->element(registers, copy);
        if (loads) write(i, own, loadElement(access, first, type, bits / 8), type);
        if (!loads) storeElement(access, first, read(i, own, type), bits / 8);
      }
      continue;
    }
    Value* apart = together ? nullptr : pitch;
    if (!loads) {
      storeFragmentWord(access, first, apart, bits, read(i, this->element(registers, unit), Type::B32));
      continue;
    }
    Value* word = fragmentWord(access, first, apart, bits);
    for (uint32_t copy = unit; copy < registers.count; copy += units)
      write(i, this->element(registers, copy), word, Type::B32);
  }
}

}  // namespace vgpu::jit
