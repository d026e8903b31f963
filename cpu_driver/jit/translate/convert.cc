// cvt. Integers that do not fit wrap unless .sat; floats to integers always saturate.
#include <cmath>

#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {
namespace {

bool isHalf(Type type) { return type == Type::F16 || type == Type::BF16; }
bool isFp8(Type type) { return type == Type::E4M3x2 || type == Type::E5M2x2; }

bool roundsToIntegral(const Instruction& i) {
  return i.has(Modifier::Rni) || i.has(Modifier::Rzi) || i.has(Modifier::Rmi) || i.has(Modifier::Rpi);
}

}  // namespace

llvm::Value* FunctionTranslator::convertIntegers(const Instruction& i, Value* value, Type to, Type from) {
  unsigned have = ptx::bitsOf(from), want = ptx::bitsOf(to);
  bool signedFrom = ptx::isSigned(from), signedTo = ptx::isSigned(to);
  if (i.has(Modifier::Sat)) {
    // In a type that holds both ranges.
    llvm::Type* wide = intType(std::max(have, want) * 2);
    Value* v = signedFrom ? builder_.CreateSExt(value, wide) : builder_.CreateZExt(value, wide);
    unsigned bits = wide->getIntegerBitWidth();
    llvm::APInt low = signedTo ? llvm::APInt::getSignedMinValue(want).sext(bits) : llvm::APInt(bits, 0);
    llvm::APInt high =
        (signedTo ? llvm::APInt::getSignedMaxValue(want) : llvm::APInt::getMaxValue(want)).zext(bits);
    v = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, v, llvm::ConstantInt::get(wide, low));
    v = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, v, llvm::ConstantInt::get(wide, high));
    return builder_.CreateTrunc(v, intType(want));
  }
  return signedFrom ? builder_.CreateSExtOrTrunc(value, intType(want))
                    : builder_.CreateZExtOrTrunc(value, intType(want));
}

// Directed: the nearest, compared with the integer that it stands for. That comparison saturates at the
// type's end, where a result of the next power of two is always too high.
llvm::Value* FunctionTranslator::integerDirected(Value* value, bool isSigned, llvm::Type* to,
                                                 Rounding rounding) {
  Value* nearest = isSigned ? builder_.CreateSIToFP(value, to) : builder_.CreateUIToFP(value, to);
  if (rounding == Rounding::Nearest) return nearest;
  llvm::Type* type = value->getType();
  unsigned bits = type->getIntegerBitWidth();
  auto id = isSigned ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat;
  Value* back = builder_.CreateIntrinsic(id, {type, to}, {nearest});
  Value* limit = llvm::ConstantFP::get(to, std::ldexp(1.0, int(isSigned ? bits - 1 : bits)));
  Value* overflowed = builder_.CreateFCmpOGE(nearest, limit);
  Value* high = isSigned ? builder_.CreateICmpSGT(back, value) : builder_.CreateICmpUGT(back, value);
  Value* low = isSigned ? builder_.CreateICmpSLT(back, value) : builder_.CreateICmpULT(back, value);
  high = builder_.CreateOr(high, overflowed);
  low = builder_.CreateAnd(low, builder_.CreateNot(overflowed));
  if (rounding == Rounding::Down) return nextToward(nearest, builder_.getFalse(), high);
  if (rounding == Rounding::Up) return nextToward(nearest, builder_.getTrue(), low);
  Value* negative =
      isSigned ? builder_.CreateICmpSLT(value, llvm::ConstantInt::get(type, 0)) : builder_.getFalse();
  return nextToward(nearest, negative, builder_.CreateSelect(negative, low, high));
}

llvm::Value* FunctionTranslator::convertIntegerToFloat(const Instruction& i, Value* value, Type to,
                                                       Type from) {
  bool isSigned = ptx::isSigned(from);
  Rounding rounding = roundingOf(i);
  if (!isHalf(to)) return saturate(i, integerDirected(value, isSigned, typeOf(to), rounding));
  // Up to 32 bits a double is exact; a longer one is first cut to a double with its last bit telling the
  // rest.
  llvm::Type* wide = builder_.getDoubleTy();
  Value* exact = isSigned ? builder_.CreateSIToFP(value, wide) : builder_.CreateUIToFP(value, wide);
  if (ptx::bitsOf(from) == 64) exact = integerDirected(value, isSigned, wide, Rounding::Zero);
  return clampHalf(i, floatToHalf(oddFloat(exact), to, rounding), to);
}

llvm::Value* FunctionTranslator::roundToIntegral(const Instruction& i, Value* value) {
  auto id = i.has(Modifier::Rzi)   ? llvm::Intrinsic::trunc
            : i.has(Modifier::Rmi) ? llvm::Intrinsic::floor
            : i.has(Modifier::Rpi) ? llvm::Intrinsic::ceil
                                   : llvm::Intrinsic::rint;
  return intrinsic(id, {value});
}

llvm::Value* FunctionTranslator::convertFloatToInteger(const Instruction& i, Value* value, Type to) {
  if (!i.has(Modifier::Rzi)) value = roundToIntegral(i, value);
  auto id = ptx::isSigned(to) ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat;
  unsigned bits = ptx::bitsOf(to);
  Value* result = builder_.CreateIntrinsic(id, {intType(bits), value->getType()}, {value});
  if (bits < 64 && !value->getType()->isDoubleTy()) return result;
  // From f64, and to 64 bits, a NaN is the integer with only the top bit (PTX ISA, cvt).
  return builder_.CreateSelect(isNan(value), llvm::ConstantInt::get(context_, llvm::APInt::getSignMask(bits)),
                               result);
}

llvm::Value* FunctionTranslator::convertFloats(const Instruction& i, Value* value, Type to, Type from) {
  Rounding rounding = roundingOf(i);
  if (isHalf(to)) {
    if (roundsToIntegral(i)) value = roundToIntegral(i, value);
    if (from == Type::F64) value = oddFloat(value);
    return clampHalf(i, floatToHalf(value, to, rounding), to);
  }
  if (to == Type::F64 && from != Type::F64) value = builder_.CreateFPExt(value, builder_.getDoubleTy());
  if (to == Type::F32 && from == Type::F64) value = flush(i, narrowDouble(value, rounding));
  if (roundsToIntegral(i)) value = roundToIntegral(i, value);
  return saturate(i, flush(i, value));
}

// Two floats, or a pair of halves, into one register; the first source is the upper half.
void FunctionTranslator::convertPacked(const Instruction& i) {
  Type to = i.types[0], from = i.types[1];
  if (isFp8(to)) {
    Value* upper = nullptr;
    Value* lower = nullptr;
    if (from == Type::F32) {
      upper = read(i, 1, from);
      lower = read(i, 2, from);
    } else {
      Value* both = read(i, 1, from);
      upper = halfToFloat(lane(both, 1), scalarHalf(from));
      lower = halfToFloat(lane(both, 0), scalarHalf(from));
    }
    bool relu = i.has(Modifier::Relu);
    Value* high = builder_.CreateShl(builder_.CreateZExt(floatToFp8(upper, to, relu), intType(16)), 8);
    return write(i, 0, builder_.CreateOr(high, builder_.CreateZExt(floatToFp8(lower, to, relu), intType(16))),
                 Type::B16);
  }
  if (isFp8(from)) {
    if (to != Type::F16x2) return unsupported(i);
    Value* both = read(i, 1, Type::B16);
    Value* parts[2];
    for (unsigned k = 0; k < 2; ++k) {
      Value* byte = builder_.CreateTrunc(builder_.CreateLShr(both, 8 * k), intType(8));
      parts[k] = fp8ToHalf(byte, from);
      if (i.has(Modifier::Relu)) parts[k] = clampHalf(i, parts[k], Type::F16);
    }
    return write(i, 0, pack(parts[0], parts[1]), Type::B32);
  }
  if (from != Type::F32 || i.operandCount != 3) return unsupported(i);
  Type one = scalarHalf(to);
  Rounding rounding = roundingOf(i);
  Value* upper = clampHalf(i, floatToHalf(read(i, 1, from), one, rounding), one);
  Value* lower = clampHalf(i, floatToHalf(read(i, 2, from), one, rounding), one);
  write(i, 0, pack(lower, upper), Type::B32);
}

void FunctionTranslator::convert(const Instruction& i) {
  Type to = i.types[0], from = i.types[1];
  if (ptx::elementsOf(to) > 1 || isFp8(from)) return convertPacked(i);
  if (to == Type::TF32) {
    // 10 bits of fraction: nearest, ties to even (.rn) or away (.rna), or towards zero.
    Value* bits = toBits(read(i, 1, Type::F32));
    Value* half = i32(0);
    if (i.has(Modifier::Rna)) half = i32(0x1000);
    if (i.has(Modifier::Rn))
      half = builder_.CreateAdd(builder_.CreateAnd(builder_.CreateLShr(bits, 13), i32(1)), i32(0xfff));
    Value* exponent = builder_.CreateAnd(bits, i32(0x7f800000));
    Value* finite = builder_.CreateICmpNE(exponent, i32(0x7f800000));
    Value* rounded = builder_.CreateAnd(builder_.CreateAdd(bits, half), i32(0xffffe000));
    return write(i, 0, builder_.CreateSelect(finite, rounded, bits), Type::B32);
  }
  bool floatTo = ptx::isFloating(to), floatFrom = ptx::isFloating(from);
  Value* value = read(i, 1, from);
  if (!floatTo && !floatFrom) return write(i, 0, convertIntegers(i, value, to, from), to);
  if (!floatFrom) return write(i, 0, convertIntegerToFloat(i, value, to, from), to);
  if (isHalf(from) && from == to && !roundsToIntegral(i)) return write(i, 0, clampHalf(i, value, from), to);
  if (isHalf(from)) value = halfToFloat(value, from);
  value = flush(i, value);
  write(i, 0, floatTo ? convertFloats(i, value, to, from) : convertFloatToInteger(i, value, to), to);
}

// e4m3: bias 7, no infinity, NaN 0x7f; e5m2: bias 15, as a shortened f16. Always .satfinite: to the largest
// number.
llvm::Value* FunctionTranslator::floatToFp8(Value* value, Type type, bool relu) {
  bool e4m3 = type == Type::E4M3x2;
  int fraction = e4m3 ? 3 : 2, lowest = e4m3 ? -6 : -14;
  double largest = e4m3 ? 448.0 : 57344.0;
  Value* bits = toBits(value);
  Value* sign = builder_.CreateAnd(builder_.CreateLShr(bits, 24), i32(0x80));
  Value* magnitude = intrinsic(llvm::Intrinsic::fabs, {value});
  Value* nan = isNan(value);
  Value* clamped =
      builder_.CreateSelect(builder_.CreateFCmpOLT(magnitude, f32(largest)), magnitude, f32(largest));
  // Normal: round the fraction in place, then move the exponent's bias; subnormal: a multiple of the smallest
  // step.
  Value* whole = toBits(clamped);
  unsigned drop = unsigned(23 - fraction);
  Value* even = builder_.CreateAnd(builder_.CreateLShr(whole, drop), i32(1));
  Value* rounded = builder_.CreateLShr(
      builder_.CreateAdd(whole, builder_.CreateAdd(even, i32((1u << (drop - 1)) - 1))), drop);
  Value* normal = builder_.CreateSub(rounded, i32(uint32_t(127 + lowest - 1) << fraction));
  Value* steps = builder_.CreateFMul(clamped, f32(std::ldexp(1.0, fraction - lowest)));
  Value* subnormal =
      builder_.CreateIntrinsic(llvm::Intrinsic::fptoui_sat, {intType(32), builder_.getFloatTy()},
                               {intrinsic(llvm::Intrinsic::rint, {steps})});
  Value* small = builder_.CreateFCmpOLT(clamped, f32(std::ldexp(1.0, lowest)));
  Value* result = builder_.CreateOr(builder_.CreateSelect(small, subnormal, normal), sign);
  if (relu) result = builder_.CreateSelect(builder_.CreateICmpNE(sign, i32(0)), i32(0), result);
  result = builder_.CreateSelect(nan, i32(0x7f), result);
  return builder_.CreateTrunc(result, intType(8));
}

llvm::Value* FunctionTranslator::fp8ToHalf(Value* byte, Type type) {
  Value* wide = builder_.CreateZExt(byte, intType(16));
  if (type == Type::E5M2x2) {
    Value* half = builder_.CreateShl(wide, 8);
    Value* nan =
        builder_.CreateICmpUGT(builder_.CreateAnd(wide, builder_.getInt16(0x7f)), builder_.getInt16(0x7c));
    return builder_.CreateSelect(nan, builder_.getInt16(0x7fff), half);
  }
  // The bits, seen as a float 120 powers of two too small.
  Value* bits = builder_.CreateShl(
      builder_.CreateZExt(builder_.CreateAnd(byte, builder_.getInt8(0x7f)), intType(32)), 20);
  Value* value =
      builder_.CreateFMul(builder_.CreateBitCast(bits, builder_.getFloatTy()), f32(std::ldexp(1.0, 120)));
  Value* sign = builder_.CreateShl(builder_.CreateAnd(wide, builder_.getInt16(0x80)), 8);
  Value* nan =
      builder_.CreateICmpEQ(builder_.CreateAnd(wide, builder_.getInt16(0x7f)), builder_.getInt16(0x7f));
  Value* half = builder_.CreateOr(floatToHalf(value, Type::F16), sign);
  return builder_.CreateSelect(nan, builder_.getInt16(0x7fff), half);
}

}  // namespace vgpu::jit
