// Floating-point arithmetic on f32 and f64.
#include <cmath>

#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

void FunctionTranslator::floatAddSub(const Instruction& i, bool subtract) {
  Type type = i.types[0];
  if (type == Type::F32x2) return unsupported(i);
  Value* a = flush(i, read(i, 1, type));
  Value* b = flush(i, read(i, 2, type));
  Rounding rounding = roundingOf(i);
  Value* result = nullptr;
  if (rounding == Rounding::Nearest) {
    result = subtract ? builder_.CreateFSub(a, b) : builder_.CreateFAdd(a, b);
  } else {
    result = roundedAdd(a, subtract ? builder_.CreateFNeg(b) : b, rounding);
  }
  write(i, 0, saturate(i, flush(i, result)), type);
}

void FunctionTranslator::fma(const Instruction& i) {
  Type type = i.types[0];
  if (type == Type::F32x2 || i.has(Modifier::Oob)) return unsupported(i);
  if (ptx::sizeOf(type) == 2 || ptx::elementsOf(type) == 2) {
    Type one = scalarHalf(type);
    Value* result =
        eachHalf(type, {read(i, 1, type), read(i, 2, type), read(i, 3, type)},
                 [&](llvm::ArrayRef<Value*> v) { return clampHalf(i, halfFma(v[0], v[1], v[2], one), one); });
    return write(i, 0, result, type);
  }
  Value* result = roundedFma(flush(i, read(i, 1, type)), flush(i, read(i, 2, type)),
                             flush(i, read(i, 3, type)), roundingOf(i));
  write(i, 0, saturate(i, flush(i, result)), type);
}

// Of two numbers; one NaN gives the other operand, or with .NaN the canonical NaN; -0 is less than +0.
llvm::Value* FunctionTranslator::floatMinMax(Value* a, Value* b, bool isMin, bool propagateNan) {
  llvm::Type* type = a->getType();
  Value* less = isMin ? builder_.CreateFCmpOLT(a, b) : builder_.CreateFCmpOGT(a, b);
  Value* equal = builder_.CreateFCmpOEQ(a, b);
  Value* zeros = isMin ? builder_.CreateOr(toBits(a), toBits(b)) : builder_.CreateAnd(toBits(a), toBits(b));
  Value* other = builder_.CreateSelect(equal, builder_.CreateBitCast(zeros, type), b);
  Value* result = builder_.CreateSelect(less, a, other);
  Value* nan = type->isFloatTy() ? constant(Type::F32, 0x7fffffff) : constant(Type::F64, 0x7fffffffffffffff);
  Value* aNan = isNan(a);
  Value* bNan = isNan(b);
  if (propagateNan) return builder_.CreateSelect(builder_.CreateOr(aNan, bNan), nan, result);
  // b is the answer where a is a NaN already; both NaN: canonical.
  return builder_.CreateSelect(bNan, builder_.CreateSelect(aNan, nan, a), result);
}

void FunctionTranslator::copysign(const Instruction& i) {
  // copysign d, a, b: the sign of a on the magnitude of b.
  write(i, 0, builder_.CreateCopySign(read(i, 2, i.types[0]), read(i, 1, i.types[0])), i.types[0]);
}

void FunctionTranslator::testp(const Instruction& i) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  Value* magnitude = intrinsic(llvm::Intrinsic::fabs, {a});
  Value* infinity = llvm::ConstantFP::getInfinity(a->getType());
  double smallest = type == Type::F32 ? std::ldexp(1.0, -126) : std::ldexp(1.0, -1022);
  Value* normalFrom = llvm::ConstantFP::get(a->getType(), smallest);
  Value* result = nullptr;
  if (i.has(Modifier::Finite)) result = builder_.CreateFCmpOLT(magnitude, infinity);
  if (i.has(Modifier::Infinite)) result = builder_.CreateFCmpOEQ(magnitude, infinity);
  if (i.has(Modifier::Number)) result = builder_.CreateFCmpORD(a, a);
  if (i.has(Modifier::Notanumber)) result = isNan(a);
  if (i.has(Modifier::Normal)) {
    result = builder_.CreateAnd(builder_.CreateFCmpOGE(magnitude, normalFrom),
                                builder_.CreateFCmpOLT(magnitude, infinity));
  }
  if (i.has(Modifier::Subnormal)) {
    Value* zero = llvm::ConstantFP::get(a->getType(), 0.0);
    result = builder_.CreateAnd(builder_.CreateFCmpOLT(magnitude, normalFrom),
                                builder_.CreateFCmpOGT(magnitude, zero));
  }
  if (result == nullptr) return invalid(i, "what is tested is missing");
  write(i, 0, result, Type::Pred);
}

void FunctionTranslator::rcp(const Instruction& i) {
  Type type = i.types[0];
  Value* a = flush(i, read(i, 1, type));
  Rounding rounding = i.has(Modifier::Approx) ? Rounding::Nearest : roundingOf(i);
  write(i, 0, flush(i, roundedDiv(llvm::ConstantFP::get(a->getType(), 1.0), a, rounding)), type);
}

void FunctionTranslator::squareRoot(const Instruction& i) {
  Type type = i.types[0];
  Rounding rounding = i.has(Modifier::Approx) ? Rounding::Nearest : roundingOf(i);
  write(i, 0, flush(i, roundedSqrt(flush(i, read(i, 1, type)), rounding)), type);
}

void FunctionTranslator::rsqrt(const Instruction& i) {
  Type type = i.types[0];
  Value* a = flush(i, read(i, 1, type));
  if (type == Type::F32) return write(i, 0, rsqrtApproximation(a), type);
  write(i, 0,
        builder_.CreateFDiv(llvm::ConstantFP::get(a->getType(), 1.0), intrinsic(llvm::Intrinsic::sqrt, {a})),
        type);
}

void FunctionTranslator::sine(const Instruction& i) {
  write(i, 0, flush(i, sineApproximation(flush(i, read(i, 1, Type::F32)), false)), Type::F32);
}
void FunctionTranslator::cosine(const Instruction& i) {
  write(i, 0, flush(i, sineApproximation(flush(i, read(i, 1, Type::F32)), true)), Type::F32);
}
void FunctionTranslator::lg2(const Instruction& i) {
  write(i, 0, flush(i, log2Approximation(flush(i, read(i, 1, Type::F32)))), Type::F32);
}

void FunctionTranslator::ex2(const Instruction& i) {
  Type type = i.types[0];
  if (type == Type::F32) return write(i, 0, flush(i, exp2Approximation(flush(i, read(i, 1, type)))), type);
  Type one = scalarHalf(type);
  write(i, 0,
        eachHalf(type, {read(i, 1, type)},
                 [&](llvm::ArrayRef<Value*> v) {
                   return floatToHalf(exp2Approximation(halfToFloat(v[0], one)), one);
                 }),
        type);
}

void FunctionTranslator::tanh(const Instruction& i) {
  Type type = i.types[0];
  if (type == Type::F32) return write(i, 0, tanhApproximation(read(i, 1, type)), type);
  Type one = scalarHalf(type);
  write(i, 0,
        eachHalf(type, {read(i, 1, type)},
                 [&](llvm::ArrayRef<Value*> v) {
                   return floatToHalf(tanhApproximation(halfToFloat(v[0], one)), one);
                 }),
        type);
}

}  // namespace vgpu::jit
