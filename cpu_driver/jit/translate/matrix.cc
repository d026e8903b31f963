// Matrices held by a warp: mma, wmma.mma, ldmatrix, stmatrix, movmatrix. A lane lays its registers out in its
// local memory, where the rendezvous finds those of all lanes (kernel/matrix.h).
#include <cstddef>

#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {
namespace {

using kernel::MatrixAction;
using kernel::MatrixElement;
using kernel::MatrixOperation;
using kernel::MatrixRegisters;
using kernel::MatrixRounding;

struct MatrixShape {
  Modifier name;
  uint8_t rows, columns;
  uint16_t depth;
};

constexpr MatrixShape kShapes[] = {
    {Modifier::M8n8k4, 8, 8, 4},       {Modifier::M8n8k16, 8, 8, 16},     {Modifier::M8n8k32, 8, 8, 32},
    {Modifier::M8n8k128, 8, 8, 128},   {Modifier::M16n8k4, 16, 8, 4},     {Modifier::M16n8k8, 16, 8, 8},
    {Modifier::M16n8k16, 16, 8, 16},   {Modifier::M16n8k32, 16, 8, 32},   {Modifier::M16n8k64, 16, 8, 64},
    {Modifier::M16n8k128, 16, 8, 128}, {Modifier::M16n8k256, 16, 8, 256}, {Modifier::M16n16k8, 16, 16, 8},
    {Modifier::M16n16k16, 16, 16, 16}, {Modifier::M8n32k16, 8, 32, 16},   {Modifier::M32n8k16, 32, 8, 16}};

std::optional<MatrixElement> elementOf(Type type) {
  switch (type) {
    case Type::F16:
      return MatrixElement::F16;
    case Type::BF16:
      return MatrixElement::BF16;
    case Type::TF32:
      return MatrixElement::TF32;
    case Type::F32:
      return MatrixElement::F32;
    case Type::F64:
      return MatrixElement::F64;
    case Type::E4M3:
      return MatrixElement::E4M3;
    case Type::E5M2:
      return MatrixElement::E5M2;
    case Type::S8:
      return MatrixElement::S8;
    case Type::U8:
      return MatrixElement::U8;
    case Type::S4:
      return MatrixElement::S4;
    case Type::U4:
      return MatrixElement::U4;
    case Type::B1:
      return MatrixElement::B1;
    case Type::S32:
      return MatrixElement::S32;
    default:
      return std::nullopt;
  }
}

constexpr unsigned of(MatrixElement element) { return 1u << unsigned(element); }

// The types of A that a shape has (PTX ISA, 9.7.14.1 and the tables of wmma and mma).
constexpr unsigned typesOf(Opcode opcode, Modifier shape) {
  constexpr unsigned kHalves = of(MatrixElement::F16) | of(MatrixElement::BF16);
  constexpr unsigned kBytes = of(MatrixElement::S8) | of(MatrixElement::U8);
  constexpr unsigned kNibbles = of(MatrixElement::S4) | of(MatrixElement::U4);
  constexpr unsigned kFp8 = of(MatrixElement::E4M3) | of(MatrixElement::E5M2);
  constexpr unsigned kTf32 = of(MatrixElement::TF32), kF64 = of(MatrixElement::F64),
                     kBits = of(MatrixElement::B1);
  switch (shape) {
    case Modifier::M8n8k4:
      return kF64 | (opcode == Opcode::Mma ? of(MatrixElement::F16) : 0);
    case Modifier::M8n8k16:
      return kBytes;
    case Modifier::M8n8k32:
      return kNibbles;
    case Modifier::M8n8k128:
    case Modifier::M16n8k128:
    case Modifier::M16n8k256:
      return kBits;
    case Modifier::M16n8k4:
      return kTf32 | kF64;
    case Modifier::M16n8k8:
      return kHalves | kTf32 | kF64;
    case Modifier::M16n8k16:
      return kHalves | kBytes | kFp8 | kF64;
    case Modifier::M16n8k32:
      return kBytes | kNibbles | kFp8;
    case Modifier::M16n8k64:
      return kNibbles;
    case Modifier::M16n16k8:
      return kTf32;
    default:
      return kHalves | kBytes;  // m16n16k16, m8n32k16, m32n8k16
  }
}

bool isSum(MatrixElement a, MatrixElement sum) {
  switch (a) {
    case MatrixElement::F16:
    case MatrixElement::E4M3:
    case MatrixElement::E5M2:
      return sum == MatrixElement::F16 || sum == MatrixElement::F32;
    case MatrixElement::BF16:
    case MatrixElement::TF32:
      return sum == MatrixElement::F32;
    case MatrixElement::F64:
      return sum == MatrixElement::F64;
    default:
      return sum == MatrixElement::S32;
  }
}

// A and B may differ in sign, and in the format of 8 bits.
bool multiplyTogether(MatrixElement a, MatrixElement b) {
  const auto isFp8 = [](MatrixElement e) { return e == MatrixElement::E4M3 || e == MatrixElement::E5M2; };
  const auto isByte = [](MatrixElement e) { return e == MatrixElement::S8 || e == MatrixElement::U8; };
  const auto isNibble = [](MatrixElement e) { return e == MatrixElement::S4 || e == MatrixElement::U4; };
  return a == b || (isFp8(a) && isFp8(b)) || (isByte(a) && isByte(b)) || (isNibble(a) && isNibble(b));
}

MatrixRounding matrixRounding(const Instruction& i) {
  if (i.has(Modifier::Rz)) return MatrixRounding::Zero;
  if (i.has(Modifier::Rm)) return MatrixRounding::Down;
  return i.has(Modifier::Rp) ? MatrixRounding::Up : MatrixRounding::Nearest;
}

}  // namespace

// Shape, types and qualifiers of wmma.mma and mma; for wmma.load and wmma.store the shape alone.
std::optional<MatrixOperation> FunctionTranslator::matrixOperation(const Instruction& i) {
  const MatrixShape* shape = nullptr;
  for (const MatrixShape& known : kShapes) {
    if (i.has(known.name)) shape = &known;
  }
  if (shape == nullptr) return std::nullopt;
  MatrixOperation made;
  made.rows = shape->rows;
  made.columns = shape->columns;
  made.depth = shape->depth;
  made.rounding = matrixRounding(i);
  made.saturate = i.has(Modifier::Satfinite);
  made.conjunction = i.has(Modifier::And);
  if (i.has(Modifier::Load) || i.has(Modifier::Store)) return made;
  // wmma.mma of F16 names D and C only.
  const bool halves = i.opcode == Opcode::Wmma && i.typeCount == 2;
  if (i.typeCount != 4 && !halves) return std::nullopt;
  const auto a = halves ? MatrixElement::F16 : elementOf(i.types[1]);
  const auto b = halves ? MatrixElement::F16 : elementOf(i.types[2]);
  const auto c = elementOf(i.types[halves ? 1 : 3]), d = elementOf(i.types[0]);
  if (!a || !b || !c || !d) return std::nullopt;
  made.a = *a, made.b = *b, made.c = *c, made.d = *d;
  if ((typesOf(i.opcode, shape->name) & of(*a)) == 0 || !multiplyTogether(*a, *b)) return std::nullopt;
  if (!isSum(*a, *c) || !isSum(*a, *d)) return std::nullopt;
  return made;
}

// The address of a register of the block that the rendezvous reads.
llvm::Value* FunctionTranslator::matrixRegister(size_t offset, uint32_t index, uint32_t bytes) {
  if (matrixRegisters_ == nullptr) {
    llvm::IRBuilder<> entry(allocaPoint_);
    matrixRegisters_ = entry.CreateAlloca(llvm::ArrayType::get(intType(8), sizeof(MatrixRegisters)));
    matrixRegisters_->setAlignment(llvm::Align(8));
  }
  return byteOffset(matrixRegisters_, offset + uint64_t{index} * bytes);
}

// An operand's registers into the block. More registers than `words`: those that repeat elements are left
// out.
bool FunctionTranslator::passMatrix(const Instruction& i, const Operand& operand, size_t offset,
                                    uint32_t words, MatrixElement element) {
  const uint32_t bytes = element == MatrixElement::F64 ? 8 : 4, count = words * 4 / bytes;
  const bool vector = operand.kind == Operand::Kind::Vector;
  const uint32_t has = vector ? operand.count : 1;
  if (has < count || has % count != 0)
    return invalid(i, "an operand has the wrong number of registers"), false;
  for (uint32_t k = 0; k < count; ++k) {
    Value* value = read(i, vector ? this->element(operand, k) : operand, bytes == 8 ? Type::B64 : Type::B32);
    builder_.CreateAlignedStore(value, matrixRegister(offset, k, bytes), llvm::Align(bytes));
  }
  return true;
}

bool FunctionTranslator::takeMatrix(const Instruction& i, const Operand& operand, uint32_t words,
                                    MatrixElement element) {
  const uint32_t bytes = element == MatrixElement::F64 ? 8 : 4, count = words * 4 / bytes;
  const bool vector = operand.kind == Operand::Kind::Vector;
  if ((vector ? operand.count : 1) != count)
    return invalid(i, "an operand has the wrong number of registers"), false;
  const Type type = bytes == 8 ? Type::F64 : element == MatrixElement::F32 ? Type::F32 : Type::B32;
  for (uint32_t k = 0; k < count; ++k) {
    Value* from = matrixRegister(offsetof(MatrixRegisters, d), k, bytes);
    write(i, vector ? this->element(operand, k) : operand,
          builder_.CreateAlignedLoad(typeOf(type), from, llvm::Align(bytes)), type);
  }
  return true;
}

void FunctionTranslator::multiplyMatrices(const Instruction& i, const MatrixOperation& operation) {
  const uint32_t rows = operation.rows, columns = operation.columns, depth = operation.depth;
  // m8n8k4 of F16 does four products, each of which a quarter of the lanes holds.
  const uint32_t products = operation.quadPairs ? 4 : 1;
  const auto words = [&](uint32_t high, uint32_t wide, MatrixElement element) {
    return kernel::matrixWords(products * high, wide, element);
  };
  bool ok = passMatrix(i, operand(i, 1), offsetof(MatrixRegisters, a), words(rows, depth, operation.a),
                       operation.a);
  ok = ok && passMatrix(i, operand(i, 2), offsetof(MatrixRegisters, b), words(depth, columns, operation.b),
                        operation.b);
  ok = ok && passMatrix(i, operand(i, 3), offsetof(MatrixRegisters, c), words(rows, columns, operation.c),
                        operation.c);
  if (!ok) return;
  mark(Marker::Matrix, {builder_.getInt64(operation.packed()), matrixRegister(0, 0, 0)});
  takeMatrix(i, operand(i, 0), words(rows, columns, operation.d), operation.d);
}

void FunctionTranslator::mma(const Instruction& i) {
  auto operation = matrixOperation(i);
  if (!operation) return unsupported(i);
  const bool quadPairs = operation->rows == 8 && operation->a == MatrixElement::F16;
  if (quadPairs) {
    operation->quadPairs = true;
    // The layouts of A and B, in this order; each is .row or .col.
    std::vector<bool> byColumns;
    for (int k = 0; k < i.modifierCount; ++k) {
      if (i.modifiers[k] == Modifier::Row || i.modifiers[k] == Modifier::Col)
        byColumns.push_back(i.modifiers[k] == Modifier::Col);
    }
    if (byColumns.size() != 2) return invalid(i, "the layouts of A and B are missing");
    operation->aByColumns = byColumns[0];
    operation->bByRows = !byColumns[1];
  } else if (!i.has(Modifier::Row) || !i.has(Modifier::Col)) {
    return invalid(i, "A must be .row and B .col");
  }
  multiplyMatrices(i, *operation);
}

void FunctionTranslator::transferMatrices(const Instruction& i, bool loads) {
  MatrixOperation operation;
  operation.action = loads ? MatrixAction::Load : MatrixAction::Store;
  operation.depth = i.has(Modifier::X4) ? 4 : i.has(Modifier::X2) ? 2 : 1;
  operation.transposed = i.has(Modifier::Trans);
  const Operand& registers = operand(i, loads ? 0 : 1);
  Value* row = addressOf(i, operand(i, loads ? 1 : 0), i.space);
  builder_.CreateAlignedStore(row, matrixRegister(offsetof(MatrixRegisters, a), 0, 8), llvm::Align(8));
  if (!loads && !passMatrix(i, registers, offsetof(MatrixRegisters, d), operation.depth, MatrixElement::F16))
    return;
  mark(Marker::Matrix, {builder_.getInt64(operation.packed()), matrixRegister(0, 0, 0)});
  if (loads) takeMatrix(i, registers, operation.depth, MatrixElement::F16);
}

void FunctionTranslator::loadMatrix(const Instruction& i) { transferMatrices(i, true); }
void FunctionTranslator::storeMatrix(const Instruction& i) { transferMatrices(i, false); }

void FunctionTranslator::moveMatrix(const Instruction& i) {
  MatrixOperation operation;
  operation.action = MatrixAction::Transpose;
  if (!passMatrix(i, operand(i, 1), offsetof(MatrixRegisters, a), 1, MatrixElement::F16)) return;
  mark(Marker::Matrix, {builder_.getInt64(operation.packed()), matrixRegister(0, 0, 0)});
  takeMatrix(i, operand(i, 0), 1, MatrixElement::F16);
}

}  // namespace vgpu::jit
