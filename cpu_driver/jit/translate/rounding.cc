// Rounding, .ftz and .sat. The processor stays in round-to-nearest: another rounding is the nearest result,
// moved by one place where its exact error says so. f32 goes through double, whose result is first rounded to
// odd (its last bit set when inexact), after which a second rounding is right (Boldo and Melquiond,
// "Emulation of FMA and correctly rounded sums").
#include <cfloat>
#include <cmath>

#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

Rounding FunctionTranslator::roundingOf(const Instruction& i) {
  if (i.has(Modifier::Rz)) return Rounding::Zero;
  if (i.has(Modifier::Rm)) return Rounding::Down;
  if (i.has(Modifier::Rp)) return Rounding::Up;
  return Rounding::Nearest;
}

llvm::Value* FunctionTranslator::flush(const Instruction& i, Value* value) {
  if (!i.has(Modifier::Ftz) || !value->getType()->isFloatTy()) return value;
  Value* small = builder_.CreateFCmpOLT(intrinsic(llvm::Intrinsic::fabs, {value}), f32(FLT_MIN));
  return builder_.CreateSelect(small, builder_.CreateCopySign(f32(0), value), value);
}

// To [0, 1], NaN to 0.
llvm::Value* FunctionTranslator::saturate(const Instruction& i, Value* value) {
  if (!i.has(Modifier::Sat)) return value;
  Value* zero = llvm::ConstantFP::get(value->getType(), 0.0);
  Value* one = llvm::ConstantFP::get(value->getType(), 1.0);
  Value* above = builder_.CreateSelect(builder_.CreateFCmpOGT(value, zero), value, zero);
  return builder_.CreateSelect(builder_.CreateFCmpOLT(above, one), above, one);
}

llvm::Value* FunctionTranslator::canonical(Value* value) {
  if (!value->getType()->isFloatTy()) return value;
  return builder_.CreateSelect(isNan(value), constant(Type::F32, 0x7fffffff), value);
}

// `value` moved by one place towards +infinity where `up`, else towards -infinity; unchanged where not
// `change`. Integers of the bits order floats of one sign, so one step is +1 or -1 by sign; zero steps to the
// smallest number.
llvm::Value* FunctionTranslator::nextToward(Value* value, Value* up, Value* change) {
  llvm::Type* type = value->getType();
  Value* bits = toBits(value);
  llvm::Type* whole = bits->getType();
  unsigned width = whole->getIntegerBitWidth();
  Value* zero = llvm::ConstantFP::get(type, 0.0);
  Value* negative = builder_.CreateICmpSLT(bits, llvm::ConstantInt::get(whole, 0));
  Value* grows = builder_.CreateXor(up, negative);
  Value* step = builder_.CreateSelect(grows, llvm::ConstantInt::get(whole, 1),
                                      llvm::ConstantInt::getAllOnesValue(whole));
  Value* moved = builder_.CreateAdd(bits, step);
  llvm::APInt sign = llvm::APInt::getSignMask(width);
  Value* smallest =
      builder_.CreateSelect(up, llvm::ConstantInt::get(whole, 1), llvm::ConstantInt::get(whole, sign | 1));
  moved = builder_.CreateSelect(builder_.CreateFCmpOEQ(value, zero), smallest, moved);
  return builder_.CreateBitCast(builder_.CreateSelect(change, moved, bits), type);
}

// The error of `value` is `error` (exact minus value, any scale): makes the last bit of a double say
// "inexact".
llvm::Value* FunctionTranslator::oddDouble(Value* value, Value* error) {
  Value* zero = llvm::ConstantFP::get(error->getType(), 0.0);
  Value* bits = toBits(value);
  Value* even = builder_.CreateICmpEQ(builder_.CreateAnd(bits, builder_.getInt64(1)), builder_.getInt64(0));
  Value* inexact = builder_.CreateFCmpONE(error, zero);
  return nextToward(value, builder_.CreateFCmpOGT(error, zero), builder_.CreateAnd(inexact, even));
}

llvm::Value* FunctionTranslator::oddFloat(Value* value) {
  Value* nearest = builder_.CreateFPTrunc(value, builder_.getFloatTy());
  Value* error = builder_.CreateFSub(value, builder_.CreateFPExt(nearest, builder_.getDoubleTy()));
  Value* even = builder_.CreateICmpEQ(builder_.CreateAnd(toBits(nearest), i32(1)), i32(0));
  Value* zero = llvm::ConstantFP::get(builder_.getDoubleTy(), 0.0);
  Value* finite = builder_.CreateFCmpONE(error, zero);
  return nextToward(nearest, builder_.CreateFCmpOGT(error, zero), builder_.CreateAnd(finite, even));
}

// Moves the nearest result where its error lies on the wrong side of it. A result that overflowed comes back
// to the largest number where the rounding points inwards, since the error is then the opposite infinity.
llvm::Value* FunctionTranslator::adjust(Value* nearest, Value* error, Rounding rounding) {
  if (rounding == Rounding::Nearest) return nearest;
  Value* zero = llvm::ConstantFP::get(error->getType(), 0.0);
  Value* tooHigh = builder_.CreateFCmpOLT(error, zero);
  Value* tooLow = builder_.CreateFCmpOGT(error, zero);
  if (rounding == Rounding::Down) return nextToward(nearest, builder_.getFalse(), tooHigh);
  if (rounding == Rounding::Up) return nextToward(nearest, builder_.getTrue(), tooLow);
  Value* bits = toBits(nearest);
  Value* negative = builder_.CreateICmpSLT(bits, llvm::ConstantInt::get(bits->getType(), 0));
  return nextToward(nearest, negative, builder_.CreateSelect(negative, tooLow, tooHigh));
}

llvm::Value* FunctionTranslator::narrowDouble(Value* value, Rounding rounding) {
  Value* nearest = builder_.CreateFPTrunc(value, builder_.getFloatTy());
  if (rounding == Rounding::Nearest) return nearest;
  Value* error = builder_.CreateFSub(value, builder_.CreateFPExt(nearest, builder_.getDoubleTy()));
  return adjust(nearest, error, rounding);
}

// Knuth: the sum and its error, exact unless it overflows.
std::pair<llvm::Value*, llvm::Value*> FunctionTranslator::twoSum(Value* a, Value* b) {
  Value* sum = builder_.CreateFAdd(a, b);
  Value* part = builder_.CreateFSub(sum, a);
  Value* error = builder_.CreateFAdd(builder_.CreateFSub(a, builder_.CreateFSub(sum, part)),
                                     builder_.CreateFSub(b, part));
  return {sum, error};
}

// Exact sums are +0 in every rounding but downwards.
llvm::Value* FunctionTranslator::roundedAdd(Value* a, Value* b, Rounding rounding) {
  if (rounding == Rounding::Nearest) return builder_.CreateFAdd(a, b);
  if (a->getType()->isDoubleTy()) {
    auto [sum, error] = twoSum(a, b);
    Value* result = adjust(sum, error, rounding);
    if (rounding != Rounding::Down) return result;
    Value* zero = llvm::ConstantFP::get(sum->getType(), 0.0);
    Value* bothPositive =
        builder_.CreateICmpSGE(builder_.CreateOr(toBits(a), toBits(b)), builder_.getInt64(0));
    Value* negative =
        builder_.CreateAnd(builder_.CreateFCmpOEQ(result, zero), builder_.CreateNot(bothPositive));
    return builder_.CreateSelect(negative, llvm::ConstantFP::get(sum->getType(), -0.0), result);
  }
  return roundedFma(a, f32(1), b, rounding);
}

llvm::Value* FunctionTranslator::roundedMul(Value* a, Value* b, Rounding rounding) {
  Value* nearest = builder_.CreateFMul(a, b);
  if (rounding == Rounding::Nearest) return nearest;
  if (a->getType()->isFloatTy()) {
    llvm::Type* wide = builder_.getDoubleTy();
    return narrowDouble(builder_.CreateFMul(builder_.CreateFPExt(a, wide), builder_.CreateFPExt(b, wide)),
                        rounding);
  }
  return adjust(nearest, intrinsic(llvm::Intrinsic::fma, {a, b, builder_.CreateFNeg(nearest)}), rounding);
}

llvm::Value* FunctionTranslator::roundedFma(Value* a, Value* b, Value* c, Rounding rounding) {
  if (rounding == Rounding::Nearest) return intrinsic(llvm::Intrinsic::fma, {a, b, c});
  if (a->getType()->isFloatTy()) {
    llvm::Type* wide = builder_.getDoubleTy();
    Value* product = builder_.CreateFMul(builder_.CreateFPExt(a, wide), builder_.CreateFPExt(b, wide));
    Value* addend = builder_.CreateFPExt(c, wide);
    auto [sum, error] = twoSum(product, addend);
    Value* result = narrowDouble(oddDouble(sum, error), rounding);
    if (rounding != Rounding::Down) return result;
    // x + (-x) is -0 when rounding downwards; +0 + +0 stays.
    Value* anyNegative =
        builder_.CreateICmpSLT(builder_.CreateOr(toBits(product), toBits(addend)), builder_.getInt64(0));
    Value* exactZero = builder_.CreateFCmpOEQ(sum, llvm::ConstantFP::get(wide, 0.0));
    return builder_.CreateSelect(builder_.CreateAnd(exactZero, anyNegative), f32(-0.0), result);
  }
  // Boldo and Muller's ErrFmaNearest; only the sign of the error counts.
  Value* nearest = intrinsic(llvm::Intrinsic::fma, {a, b, c});
  Value* high = builder_.CreateFMul(a, b);
  Value* low = intrinsic(llvm::Intrinsic::fma, {a, b, builder_.CreateFNeg(high)});
  auto [alpha, rest] = twoSum(c, low);
  auto [beta, betaError] = twoSum(high, alpha);
  Value* gamma = builder_.CreateFAdd(builder_.CreateFSub(beta, nearest), betaError);
  return adjust(nearest, builder_.CreateFAdd(gamma, rest), rounding);
}

// The remainder a - q * b has the sign of the error times that of b.
llvm::Value* FunctionTranslator::roundedDiv(Value* a, Value* b, Rounding rounding) {
  Value* nearest = builder_.CreateFDiv(a, b);
  if (rounding == Rounding::Nearest) return nearest;
  llvm::Type* wide = builder_.getDoubleTy();
  bool single = a->getType()->isFloatTy();
  Value* n = single ? builder_.CreateFPExt(a, wide) : a;
  Value* d = single ? builder_.CreateFPExt(b, wide) : b;
  Value* quotient = single ? builder_.CreateFDiv(n, d) : nearest;
  Value* remainder = intrinsic(llvm::Intrinsic::fma, {builder_.CreateFNeg(quotient), d, n});
  Value* error = builder_.CreateFMul(builder_.CreateCopySign(llvm::ConstantFP::get(wide, 1.0), d), remainder);
  return single ? narrowDouble(oddDouble(quotient, error), rounding) : adjust(nearest, error, rounding);
}

llvm::Value* FunctionTranslator::roundedSqrt(Value* a, Rounding rounding) {
  Value* nearest = intrinsic(llvm::Intrinsic::sqrt, {a});
  if (rounding == Rounding::Nearest) return nearest;
  bool single = a->getType()->isFloatTy();
  Value* x = single ? builder_.CreateFPExt(a, builder_.getDoubleTy()) : a;
  Value* root = single ? intrinsic(llvm::Intrinsic::sqrt, {x}) : nearest;
  Value* error = intrinsic(llvm::Intrinsic::fma, {builder_.CreateFNeg(root), root, x});
  return single ? narrowDouble(oddDouble(root, error), rounding) : adjust(nearest, error, rounding);
}

}  // namespace vgpu::jit
