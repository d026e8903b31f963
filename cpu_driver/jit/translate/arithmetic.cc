// Integer arithmetic. Everything wraps; division by zero gives all ones, as the hardware does.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {
namespace {

bool isFloatOrHalf(Type type) { return ptx::isFloating(type); }
bool isHalf(Type type) {
  return type == Type::F16 || type == Type::F16x2 || type == Type::BF16 || type == Type::BF16x2;
}
bool isPacked16(Type type) { return type == Type::U16x2 || type == Type::S16x2; }

}  // namespace

llvm::Value* FunctionTranslator::carry() { return builder_.CreateLoad(builder_.getInt1Ty(), carry_); }
void FunctionTranslator::setCarry(Value* value) { builder_.CreateStore(value, carry_); }

// d = a + b + carryIn, or a - b - carryIn (the carry flag holds the borrow); .cc writes the flag.
void FunctionTranslator::addWithCarry(const Instruction& i, size_t dest, Value* a, Value* b, Value* carryIn,
                                      bool subtract) {
  auto id = subtract ? llvm::Intrinsic::usub_with_overflow : llvm::Intrinsic::uadd_with_overflow;
  Value* first = builder_.CreateBinaryIntrinsic(id, a, b);
  Value* result = builder_.CreateExtractValue(first, 0);
  Value* out = builder_.CreateExtractValue(first, 1);
  if (carryIn != nullptr) {
    Value* second = builder_.CreateBinaryIntrinsic(id, result, builder_.CreateZExt(carryIn, a->getType()));
    result = builder_.CreateExtractValue(second, 0);
    out = builder_.CreateOr(out, builder_.CreateExtractValue(second, 1));
  }
  if (i.has(Modifier::Cc)) setCarry(out);
  write(i, dest, result, i.types[0]);
}

void FunctionTranslator::add(const Instruction& i) {
  Type type = i.types[0];
  if (isHalf(type)) return halfArithmetic(i, llvm::Instruction::FAdd);
  if (isFloatOrHalf(type)) return floatAddSub(i, false);
  Value* a = read(i, 1, type);
  Value* b = read(i, 2, type);
  if (i.has(Modifier::Cc)) return addWithCarry(i, 0, a, b, nullptr, false);
  if (isPacked16(type)) {
    return write(i, 0,
                 pack(builder_.CreateAdd(lane(a, 0), lane(b, 0)), builder_.CreateAdd(lane(a, 1), lane(b, 1))),
                 type);
  }
  bool saturates = i.has(Modifier::Sat);
  write(
      i, 0,
      saturates ? builder_.CreateBinaryIntrinsic(llvm::Intrinsic::sadd_sat, a, b) : builder_.CreateAdd(a, b),
      type);
}

void FunctionTranslator::sub(const Instruction& i) {
  Type type = i.types[0];
  if (isHalf(type)) return halfArithmetic(i, llvm::Instruction::FSub);
  if (isFloatOrHalf(type)) return floatAddSub(i, true);
  Value* a = read(i, 1, type);
  Value* b = read(i, 2, type);
  if (i.has(Modifier::Cc)) return addWithCarry(i, 0, a, b, nullptr, true);
  bool saturates = i.has(Modifier::Sat);
  write(
      i, 0,
      saturates ? builder_.CreateBinaryIntrinsic(llvm::Intrinsic::ssub_sat, a, b) : builder_.CreateSub(a, b),
      type);
}

void FunctionTranslator::addCarry(const Instruction& i) {
  addWithCarry(i, 0, read(i, 1, i.types[0]), read(i, 2, i.types[0]), carry(), false);
}

void FunctionTranslator::subCarry(const Instruction& i) {
  addWithCarry(i, 0, read(i, 1, i.types[0]), read(i, 2, i.types[0]), carry(), true);
}

// .lo, .hi, .wide of a product. The wide product of a type cannot overflow: its flags are facts.
llvm::Value* FunctionTranslator::multiplyParts(const Instruction& i, Value* a, Value* b) {
  bool isSigned = ptx::isSigned(i.types[0]);
  if (!i.has(Modifier::Wide) && !i.has(Modifier::Hi)) return builder_.CreateMul(a, b);
  unsigned bits = a->getType()->getIntegerBitWidth();
  llvm::Type* twice = intType(bits * 2);
  auto extend = [&](Value* v) {
    return isSigned ? builder_.CreateSExt(v, twice) : builder_.CreateZExt(v, twice);
  };
  // The most negative number squared is 2^(2n-2), so a signed product fits as well.
  Value* product = builder_.CreateMul(extend(a), extend(b), "", !isSigned, isSigned);
  if (i.has(Modifier::Wide)) return product;
  return builder_.CreateTrunc(builder_.CreateLShr(product, bits), a->getType());
}

namespace {
Type wideType(const Instruction& i) {
  if (!i.has(Modifier::Wide)) return i.types[0];
  switch (i.types[0]) {
    case Type::U16:
      return Type::U32;
    case Type::S16:
      return Type::S32;
    case Type::U32:
      return Type::U64;
    default:
      return Type::S64;
  }
}
}  // namespace

void FunctionTranslator::mul(const Instruction& i) {
  Type type = i.types[0];
  if (isHalf(type)) return halfArithmetic(i, llvm::Instruction::FMul);
  if (type == Type::F32x2) return unsupported(i);
  if (isFloatOrHalf(type)) {
    Value* product = roundedMul(flush(i, read(i, 1, type)), flush(i, read(i, 2, type)), roundingOf(i));
    return write(i, 0, saturate(i, flush(i, product)), type);
  }
  write(i, 0, multiplyParts(i, read(i, 1, type), read(i, 2, type)), wideType(i));
}

void FunctionTranslator::mad(const Instruction& i) {
  Type type = i.types[0];
  if (isFloatOrHalf(type)) return fma(i);
  Type wide = wideType(i);
  Value* product = multiplyParts(i, read(i, 1, type), read(i, 2, type));
  Value* c = read(i, 3, wide);
  if (i.has(Modifier::Cc)) return addWithCarry(i, 0, product, c, nullptr, false);
  if (i.has(Modifier::Sat))
    return write(i, 0, builder_.CreateBinaryIntrinsic(llvm::Intrinsic::sadd_sat, product, c), wide);
  write(i, 0, builder_.CreateAdd(product, c), wide);
}

void FunctionTranslator::madCarry(const Instruction& i) {
  Value* product = multiplyParts(i, read(i, 1, i.types[0]), read(i, 2, i.types[0]));
  addWithCarry(i, 0, product, read(i, 3, i.types[0]), carry(), false);
}

// The product of the low 24 bits: its low 32 bits, or its high 32 of 48.
namespace {
llvm::Value* product24(llvm::IRBuilder<>& builder, const Instruction& i, llvm::Value* a, llvm::Value* b) {
  bool isSigned = ptx::isSigned(i.types[0]);
  auto low24 = [&](llvm::Value* v) {
    v = builder.CreateShl(v, 8);
    v = isSigned ? builder.CreateAShr(v, 8) : builder.CreateLShr(v, 8);
    return isSigned ? builder.CreateSExt(v, builder.getInt64Ty())
                    : builder.CreateZExt(v, builder.getInt64Ty());
  };
  llvm::Value* product = builder.CreateMul(low24(a), low24(b));
  if (i.has(Modifier::Hi)) product = builder.CreateLShr(product, 16);
  return builder.CreateTrunc(product, builder.getInt32Ty());
}
}  // namespace

void FunctionTranslator::mul24(const Instruction& i) {
  write(i, 0, product24(builder_, i, read(i, 1, i.types[0]), read(i, 2, i.types[0])), i.types[0]);
}

void FunctionTranslator::mad24(const Instruction& i) {
  Value* product = product24(builder_, i, read(i, 1, i.types[0]), read(i, 2, i.types[0]));
  Value* c = read(i, 3, i.types[0]);
  bool saturates = i.has(Modifier::Sat);
  write(i, 0,
        saturates ? builder_.CreateBinaryIntrinsic(llvm::Intrinsic::sadd_sat, product, c)
                  : builder_.CreateAdd(product, c),
        i.types[0]);
}

void FunctionTranslator::sad(const Instruction& i) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  Value* b = read(i, 2, type);
  Value* less = ptx::isSigned(type) ? builder_.CreateICmpSLT(a, b) : builder_.CreateICmpULT(a, b);
  Value* difference = builder_.CreateSelect(less, builder_.CreateSub(b, a), builder_.CreateSub(a, b));
  write(i, 0, builder_.CreateAdd(read(i, 3, type), difference), type);
}

// Quotient and remainder without what LLVM leaves undefined: by zero all ones and the dividend, MIN / -1 =
// MIN.
namespace {
llvm::Value* safeDivide(llvm::IRBuilder<>& builder, llvm::Value* a, llvm::Value* b, bool isSigned,
                        bool remainder) {
  llvm::Type* type = a->getType();
  llvm::Value* zero = llvm::ConstantInt::get(type, 0);
  llvm::Value* one = llvm::ConstantInt::get(type, 1);
  llvm::Value* ones = llvm::ConstantInt::getAllOnesValue(type);
  llvm::Value* byZero = builder.CreateICmpEQ(b, zero);
  llvm::Value* divisor = builder.CreateSelect(byZero, one, b);
  llvm::Value* byMinusOne = nullptr;
  if (isSigned) {
    byMinusOne = builder.CreateICmpEQ(b, ones);
    divisor = builder.CreateSelect(byMinusOne, one, divisor);
  }
  llvm::Value* result = remainder
                            ? (isSigned ? builder.CreateSRem(a, divisor) : builder.CreateURem(a, divisor))
                            : (isSigned ? builder.CreateSDiv(a, divisor) : builder.CreateUDiv(a, divisor));
  if (byMinusOne != nullptr) {
    result = builder.CreateSelect(byMinusOne, remainder ? zero : builder.CreateNeg(a), result);
  }
  return builder.CreateSelect(byZero, remainder ? a : ones, result);
}
}  // namespace

void FunctionTranslator::div(const Instruction& i) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  Value* b = read(i, 2, type);
  if (isFloatOrHalf(type)) {
    Rounding rounding = i.has(Modifier::Approx) || i.has(Modifier::Full) ? Rounding::Nearest : roundingOf(i);
    return write(i, 0, flush(i, roundedDiv(flush(i, a), flush(i, b), rounding)), type);
  }
  write(i, 0, safeDivide(builder_, a, b, ptx::isSigned(type), false), type);
}

void FunctionTranslator::rem(const Instruction& i) {
  Type type = i.types[0];
  write(i, 0, safeDivide(builder_, read(i, 1, type), read(i, 2, type), ptx::isSigned(type), true), type);
}

void FunctionTranslator::abs(const Instruction& i) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  if (isHalf(type)) {
    return write(i, 0,
                 builder_.CreateAnd(
                     a, llvm::ConstantInt::get(a->getType(), elementsOf(type) == 2 ? 0x7fff7fffu : 0x7fffu)),
                 type);
  }
  if (isFloatOrHalf(type)) return write(i, 0, intrinsic(llvm::Intrinsic::fabs, {flush(i, a)}), type);
  Value* negative = builder_.CreateICmpSLT(a, llvm::ConstantInt::get(a->getType(), 0));
  write(i, 0, builder_.CreateSelect(negative, builder_.CreateNeg(a), a), type);
}

void FunctionTranslator::neg(const Instruction& i) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  if (isHalf(type)) {
    return write(i, 0,
                 builder_.CreateXor(
                     a, llvm::ConstantInt::get(a->getType(), elementsOf(type) == 2 ? 0x80008000u : 0x8000u)),
                 type);
  }
  write(i, 0, isFloatOrHalf(type) ? builder_.CreateFNeg(flush(i, a)) : builder_.CreateNeg(a), type);
}

llvm::Value* FunctionTranslator::minMaxOf(const Instruction& i, Value* a, Value* b, bool isMin) {
  Type type = i.types[0];
  if (isFloatOrHalf(type)) return floatMinMax(a, b, isMin, i.has(Modifier::NaN));
  auto id = ptx::isSigned(type) ? (isMin ? llvm::Intrinsic::smin : llvm::Intrinsic::smax)
                                : (isMin ? llvm::Intrinsic::umin : llvm::Intrinsic::umax);
  return builder_.CreateBinaryIntrinsic(id, a, b);
}

void FunctionTranslator::packedMinMax(const Instruction& i, bool isMin) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  Value* b = read(i, 2, type);
  Value* parts[2];
  for (unsigned k = 0; k < 2; ++k) {
    parts[k] = minMaxOf(i, lane(a, k), lane(b, k), isMin);
    if (!i.has(Modifier::Relu)) continue;
    parts[k] = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, parts[k], builder_.getInt16(0));
  }
  write(i, 0, pack(parts[0], parts[1]), type);
}

void FunctionTranslator::minMax(const Instruction& i) {
  Type type = i.types[0];
  bool isMin = i.opcode == Opcode::Min;
  if (isHalf(type)) return halfMinMax(i, isMin);
  if (isPacked16(type)) return packedMinMax(i, isMin);
  Value* a = flush(i, read(i, 1, type));
  Value* b = flush(i, read(i, 2, type));
  Value* signs = nullptr;
  if (i.has(Modifier::Xorsign)) {
    signs = builder_.CreateXor(toBits(a), toBits(b));
  }
  if (i.has(Modifier::Xorsign) || (i.has(Modifier::Abs) && isFloatOrHalf(type))) {
    a = intrinsic(llvm::Intrinsic::fabs, {a});
    b = intrinsic(llvm::Intrinsic::fabs, {b});
  }
  Value* result = minMaxOf(i, a, b, isMin);
  for (size_t k = 3; k < i.operandCount; ++k) {
    Value* c = flush(i, read(i, k, type));
    if (i.has(Modifier::Abs)) c = intrinsic(llvm::Intrinsic::fabs, {c});
    result = minMaxOf(i, result, c, isMin);
  }
  if (signs != nullptr)
    result = builder_.CreateCopySign(result, builder_.CreateBitCast(signs, result->getType()));
  if (i.has(Modifier::Relu)) {
    result = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, result,
                                            llvm::ConstantInt::get(result->getType(), 0));
  }
  write(i, 0, result, type);
}

}  // namespace vgpu::jit
