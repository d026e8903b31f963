// mov: between registers, of addresses, and packing of vectors into a wide register and back.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

llvm::Value* FunctionTranslator::packVector(const Instruction& i, const Operand& vector, unsigned bits) {
  if (vector.count == 0) {
    invalid(i, "an empty vector");
    return llvm::ConstantInt::get(intType(bits), 0);
  }
  unsigned each = bits / vector.count;
  Value* packed = llvm::ConstantInt::get(intType(bits), 0);
  for (uint32_t k = 0; k < vector.count; ++k) {
    Type type = each == 8 ? Type::B8 : each == 16 ? Type::B16 : each == 32 ? Type::B32 : Type::B64;
    Value* part = builder_.CreateZExtOrTrunc(toBits(read(i, element(vector, k), type)), intType(bits));
    packed = builder_.CreateOr(packed, builder_.CreateShl(part, uint64_t{each} * k));
  }
  return packed;
}

void FunctionTranslator::unpack(const Instruction& i, const Operand& vector, Value* bits) {
  unsigned width = bits->getType()->getIntegerBitWidth();
  if (vector.count == 0) return invalid(i, "an empty vector");
  unsigned each = width / vector.count;
  Type type = each == 8 ? Type::B8 : each == 16 ? Type::B16 : each == 32 ? Type::B32 : Type::B64;
  for (uint32_t k = 0; k < vector.count; ++k) {
    Value* part = k == 0 ? bits : builder_.CreateLShr(bits, uint64_t{each} * k);
    write(i, element(vector, k), builder_.CreateTrunc(part, intType(each)), type);
  }
}

void FunctionTranslator::mov(const Instruction& i) {
  Type type = i.types[0];
  const Operand& to = operand(i, 0);
  const Operand& from = operand(i, 1);
  unsigned bits = type == Type::Pred ? 1 : ptx::bitsOf(type);
  if (from.kind == Operand::Kind::Vector && to.kind == Operand::Kind::Vector) {
    for (uint32_t k = 0; k < std::min(from.count, to.count); ++k) {
      write(i, element(to, k), read(i, element(from, k), type), type);
    }
    return;
  }
  if (from.kind == Operand::Kind::Vector) return write(i, to, packVector(i, from, bits), type);
  if (to.kind == Operand::Kind::Vector) return unpack(i, to, toBits(read(i, from, type)));
  // Bits that only pass through keep the register's own form: no cast to and fro.
  if (from.kind == Operand::Kind::Register && to.kind == Operand::Kind::Register && type != Type::Pred) {
    llvm::AllocaInst* slot = registers_[from.index];
    Value* value = builder_.CreateLoad(slot->getAllocatedType(), slot);
    if (value->getType() == registers_[to.index]->getAllocatedType()) {
      builder_.CreateStore(value, registers_[to.index]);
      return;
    }
  }
  write(i, to, read(i, from, type), type);
}

void FunctionTranslator::createPolicy(const Instruction& i) {
  write(i, 0, builder_.getInt64(0), Type::B64);  // a hint for caches that are not there
}

}  // namespace vgpu::jit
