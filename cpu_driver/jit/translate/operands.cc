// Reading and writing operands: registers, constants, special registers, addresses of variables.
#include <bit>

#include "cpu_driver/jit/translate/function_translator.h"
#include "cpu_driver/ptx/expression.h"

namespace vgpu::jit {

llvm::Type* FunctionTranslator::typeOf(Type type) const {
  if (type == Type::Pred) return llvm::Type::getInt1Ty(context_);
  if (type == Type::F32) return llvm::Type::getFloatTy(context_);
  if (type == Type::F64) return llvm::Type::getDoubleTy(context_);
  return intType(std::max(8u, ptx::bitsOf(type)));
}

const Operand& FunctionTranslator::operand(const Instruction& i, size_t index) {
  if (index < i.operandCount) return body_.operands[i.operands + index];
  invalid(i, "an operand is missing");
  return sink_;
}

const Operand& FunctionTranslator::element(const Operand& group, uint32_t index) const {
  return index < group.count ? body_.operands[group.index + index] : sink_;
}

Type FunctionTranslator::registerType(const Operand& operand) const {
  return operand.kind == Operand::Kind::Register ? body_.registers[operand.index].type : Type::None;
}

llvm::CallInst* FunctionTranslator::mark(Marker which, llvm::ArrayRef<Value*> arguments) {
  return builder_.CreateCall(marker(module_.module(), which), arguments);
}

llvm::Value* FunctionTranslator::intrinsic(llvm::Intrinsic::ID id, llvm::ArrayRef<Value*> arguments) {
  return builder_.CreateIntrinsic(arguments[0]->getType(), id, arguments);
}

llvm::Value* FunctionTranslator::toBits(Value* value) {
  llvm::Type* type = value->getType();
  if (type->isFloatTy()) return builder_.CreateBitCast(value, intType(32));
  if (type->isDoubleTy()) return builder_.CreateBitCast(value, intType(64));
  return value;
}

// The bits of a register as a program sees them: clean_up.cc makes NaNs canonical here.
llvm::Value* FunctionTranslator::observedBits(Value* value) {
  Value* bits = toBits(value);
  auto* cast = llvm::dyn_cast<llvm::BitCastInst>(bits);
  if (cast != nullptr && value->getType()->isFloatTy())
    cast->setMetadata("vgpu.observed", module_.emptyNode());
  return bits;
}

llvm::Value* FunctionTranslator::fromBits(Value* bits, Type type) {
  llvm::Type* wanted = typeOf(type);
  if (bits->getType() == wanted) return bits;
  bits = toBits(bits);
  unsigned have = bits->getType()->getIntegerBitWidth();
  unsigned want = unsigned(wanted->getPrimitiveSizeInBits().getFixedValue());
  if (have > want) bits = builder_.CreateTrunc(bits, intType(want));
  if (have < want) bits = builder_.CreateZExt(bits, intType(want));
  return builder_.CreateBitCast(bits, wanted);
}

llvm::Value* FunctionTranslator::constant(Type type, uint64_t bits) {
  unsigned width = std::max(1u, type == Type::Pred ? 1 : ptx::bitsOf(type));
  llvm::APInt value(64, bits);
  llvm::APInt sized = width <= 64 ? value.trunc(width) : value.sext(width);
  if (type == Type::F32)
    return llvm::ConstantFP::get(context_, llvm::APFloat(llvm::APFloat::IEEEsingle(), sized));
  if (type == Type::F64)
    return llvm::ConstantFP::get(context_, llvm::APFloat(llvm::APFloat::IEEEdouble(), sized));
  return llvm::ConstantInt::get(context_, sized);
}

llvm::Value* FunctionTranslator::readConstant(const Operand& operand, Type type) {
  ptx::Constant value;
  value.isFloat = operand.kind == Operand::Kind::Float;
  value.single = operand.single;
  value.bits = uint64_t(operand.bits);
  return constant(type, ptx::encode(value, type));
}

llvm::Value* FunctionTranslator::readRegister(const Operand& operand, Type type) {
  llvm::AllocaInst* slot = registers_[operand.index];
  Value* value = builder_.CreateLoad(slot->getAllocatedType(), slot);
  if (type == Type::Pred) return operand.negated ? builder_.CreateNot(value) : value;
  if (value->getType() == typeOf(type)) return value;
  return fromBits(observedBits(value), type);
}

llvm::Value* FunctionTranslator::read(const Instruction& i, const Operand& operand, Type type) {
  switch (operand.kind) {
    case Operand::Kind::Register:
      return readRegister(operand, type);
    case Operand::Kind::Integer:
    case Operand::Kind::Float:
      return readConstant(operand, type);
    case Operand::Kind::Special: {
      Value* value = specialRegister(i, operand);
      return value->getType()->isIntegerTy(1) && type == Type::Pred ? value : fromBits(value, type);
    }
    case Operand::Kind::ModuleVariable:
    case Operand::Kind::LocalVariable:
    case Operand::Kind::Parameter:
    case Operand::Kind::Result:
    case Operand::Kind::Function:
      return fromBits(symbolAddress(i, operand), type);
    default:
      invalid(i, "an operand must be a register or a constant");
      return constant(type, 0);
  }
}

llvm::Value* FunctionTranslator::readPredicate(const Instruction& i, size_t index) {
  const Operand& which = operand(i, index);
  if (which.kind == Operand::Kind::Integer) return builder_.getInt1(which.bits != 0);
  if (registerType(which) == Type::Pred) return readRegister(which, Type::Pred);
  return builder_.CreateICmpNE(read(i, which, Type::B32), i32(0));
}

// A narrower integer is extended to the register as the type says; bits are bits.
void FunctionTranslator::write(const Instruction& i, const Operand& operand, Value* value, Type type) {
  if (operand.kind == Operand::Kind::Sink) return;
  if (operand.kind != Operand::Kind::Register) return invalid(i, "a result needs a register");
  llvm::AllocaInst* slot = registers_[operand.index];
  llvm::Type* wanted = slot->getAllocatedType();
  if (value->getType() != wanted) {
    value = observedBits(value);
    unsigned want = unsigned(wanted->getPrimitiveSizeInBits().getFixedValue());
    bool isSigned = ptx::isSigned(type);
    value = isSigned ? builder_.CreateSExtOrTrunc(value, intType(want))
                     : builder_.CreateZExtOrTrunc(value, intType(want));
    value = builder_.CreateBitCast(value, wanted);
  }
  builder_.CreateStore(value, slot);
}

// As PTX sees it: shared variables are offsets in shared memory, all others host addresses.
llvm::Value* FunctionTranslator::symbolAddress(const Instruction& i, const Operand& operand) {
  if (operand.kind == Operand::Kind::Function) {
    return builder_.getInt64(ptx::functionId(operand.index) + uint64_t(operand.bits));
  }
  const ptx::Variable* shared = nullptr;
  if (operand.kind == Operand::Kind::ModuleVariable) shared = &module_.source().variables()[operand.index];
  if (operand.kind == Operand::Kind::LocalVariable) shared = &body_.variables[operand.index];
  if (shared != nullptr && shared->space == Space::Shared) {
    return builder_.getInt64(module_.sharedOffset(shared).value_or(0) + uint64_t(operand.bits));
  }
  Value* pointer = variablePointer(i, operand);
  return builder_.CreatePtrToInt(byteOffset(pointer, uint64_t(operand.bits)), intType(64));
}

}  // namespace vgpu::jit
