// f16 and bf16, kept as 16-bit integers. Arithmetic goes through float (sums, products) or double (fma), wide
// enough that a single rounding remains; results that are NaN are 0x7fff, as PTX has it.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

Type FunctionTranslator::scalarHalf(Type type) const {
  return type == Type::BF16 || type == Type::BF16x2 ? Type::BF16 : Type::F16;
}

llvm::Value* FunctionTranslator::lane(Value* packed, unsigned index) {
  if (index != 0) packed = builder_.CreateLShr(packed, 16 * index);
  return builder_.CreateTrunc(packed, intType(16));
}

llvm::Value* FunctionTranslator::pack(Value* low, Value* high) {
  return builder_.CreateOr(builder_.CreateZExt(low, intType(32)),
                           builder_.CreateShl(builder_.CreateZExt(high, intType(32)), 16));
}

llvm::Value* FunctionTranslator::eachHalf(Type type, llvm::ArrayRef<Value*> arguments,
                                          const HalfOperation& operation) {
  if (ptx::elementsOf(type) == 1) return operation(arguments);
  Value* results[2];
  for (unsigned k = 0; k < 2; ++k) {
    std::vector<Value*> parts;
    for (Value* argument : arguments) parts.push_back(lane(argument, k));
    results[k] = operation(parts);
  }
  return pack(results[0], results[1]);
}

llvm::Value* FunctionTranslator::halfToFloat(Value* bits, Type type) {
  if (type == Type::BF16) {
    return builder_.CreateBitCast(builder_.CreateShl(builder_.CreateZExt(bits, intType(32)), 16),
                                  builder_.getFloatTy());
  }
  return builder_.CreateFPExt(builder_.CreateBitCast(bits, builder_.getHalfTy()), builder_.getFloatTy());
}

// Rounding by hand: to bf16 it is the upper half of the float's bits plus what the lower half rounds to; the
// same sum carries into the exponent and to infinity where it must. Directed f16 rounding starts from the
// nearest.
llvm::Value* FunctionTranslator::floatToHalf(Value* value, Type type, Rounding rounding) {
  Value* nan = builder_.getInt16(0x7fff);
  Value* isNumber = builder_.CreateFCmpORD(value, value);
  if (type == Type::F16) {
    Value* nearest = builder_.CreateFPTrunc(value, builder_.getHalfTy());
    Value* bits = builder_.CreateBitCast(nearest, intType(16));
    if (rounding != Rounding::Nearest) {
      Value* back = builder_.CreateFPExt(nearest, builder_.getFloatTy());
      Value* negative = builder_.CreateICmpSLT(bits, builder_.getInt16(0));
      Value* outward = builder_.CreateFCmpOGT(intrinsic(llvm::Intrinsic::fabs, {back}),
                                              intrinsic(llvm::Intrinsic::fabs, {value}));
      Value* inward = builder_.CreateFCmpOLT(intrinsic(llvm::Intrinsic::fabs, {back}),
                                             intrinsic(llvm::Intrinsic::fabs, {value}));
      Value* shrink = builder_.CreateSub(bits, builder_.getInt16(1));
      Value* grow = builder_.CreateAdd(bits, builder_.getInt16(1));
      Value* wantsGrowth = rounding == Rounding::Up     ? builder_.CreateNot(negative)
                           : rounding == Rounding::Down ? negative
                                                        : builder_.getFalse();
      Value* moved = builder_.CreateSelect(builder_.CreateAnd(inward, wantsGrowth), grow, bits);
      bits =
          builder_.CreateSelect(builder_.CreateAnd(outward, builder_.CreateNot(wantsGrowth)), shrink, moved);
    }
    return builder_.CreateSelect(isNumber, bits, nan);
  }
  Value* bits = toBits(value);
  Value* increment = i32(0);
  Value* negative = builder_.CreateICmpSLT(bits, i32(0));
  if (rounding == Rounding::Nearest) {
    increment = builder_.CreateAdd(builder_.CreateAnd(builder_.CreateLShr(bits, 16), i32(1)), i32(0x7fff));
  } else if (rounding == Rounding::Up) {
    increment = builder_.CreateSelect(negative, i32(0), i32(0xffff));
  } else if (rounding == Rounding::Down) {
    increment = builder_.CreateSelect(negative, i32(0xffff), i32(0));
  }
  Value* rounded =
      builder_.CreateTrunc(builder_.CreateLShr(builder_.CreateAdd(bits, increment), 16), intType(16));
  return builder_.CreateSelect(isNumber, rounded, nan);
}

// f16: exact in double but for sums so unequal that rounding is not concerned; bf16: rounded to odd first.
llvm::Value* FunctionTranslator::halfFma(Value* a, Value* b, Value* c, Type type) {
  llvm::Type* wide = builder_.getDoubleTy();
  auto extend = [&](Value* v) { return builder_.CreateFPExt(halfToFloat(v, type), wide); };
  Value* product = builder_.CreateFMul(extend(a), extend(b));
  auto [sum, error] = twoSum(product, extend(c));
  return floatToHalf(oddFloat(oddDouble(sum, error)), type);
}

// .relu: what is negative becomes 0, a NaN stays; .sat: to [0, 1], NaN to 0.
llvm::Value* FunctionTranslator::clampHalf(const Instruction& i, Value* bits, Type type) {
  Value* zero = builder_.getInt16(0);
  if (i.has(Modifier::Relu)) {
    Value* negative = builder_.CreateICmpSLT(bits, zero);
    bits = builder_.CreateSelect(negative, zero, bits);
  }
  if (!i.has(Modifier::Sat)) return bits;
  Value* one = builder_.getInt16(type == Type::F16 ? 0x3c00 : 0x3f80);
  Value* value = halfToFloat(bits, type);
  bits = builder_.CreateSelect(builder_.CreateFCmpOGT(value, f32(0)), bits, zero);
  return builder_.CreateSelect(builder_.CreateFCmpOGT(value, f32(1)), one, bits);
}

void FunctionTranslator::halfArithmetic(const Instruction& i, llvm::Instruction::BinaryOps operation) {
  Type type = i.types[0], one = scalarHalf(type);
  Value* result = eachHalf(type, {read(i, 1, type), read(i, 2, type)}, [&](llvm::ArrayRef<Value*> v) {
    Value* a = halfToFloat(v[0], one);
    Value* b = halfToFloat(v[1], one);
    // A float has more than twice the bits of a half and two more: rounding to it first does no harm
    // (Figueroa).
    return clampHalf(i, floatToHalf(builder_.CreateBinOp(operation, a, b), one), one);
  });
  write(i, 0, result, type);
}

void FunctionTranslator::halfMinMax(const Instruction& i, bool isMin) {
  Type type = i.types[0], one = scalarHalf(type);
  auto once = [&](llvm::ArrayRef<Value*> v) -> Value* {
    Value* a = v[0];
    Value* b = v[1];
    Value* signs = nullptr;
    if (i.has(Modifier::Xorsign)) {
      signs = builder_.CreateAnd(builder_.CreateXor(a, b), builder_.getInt16(0x8000));
      a = builder_.CreateAnd(a, builder_.getInt16(0x7fff));
      b = builder_.CreateAnd(b, builder_.getInt16(0x7fff));
    }
    Value* x = halfToFloat(a, one);
    Value* y = halfToFloat(b, one);
    Value* wide = floatMinMax(x, y, isMin, i.has(Modifier::NaN));
    Value* result = floatToHalf(wide, one);
    if (signs != nullptr)
      result = builder_.CreateOr(builder_.CreateAnd(result, builder_.getInt16(0x7fff)), signs);
    return result;
  };
  Value* result = eachHalf(type, {read(i, 1, type), read(i, 2, type)}, once);
  for (size_t k = 3; k < i.operandCount; ++k) result = eachHalf(type, {result, read(i, k, type)}, once);
  write(i, 0, result, type);
}

}  // namespace vgpu::jit
