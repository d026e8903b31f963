// The approximations, without calls and without branches so that they vectorise across threads. Polynomials
// interpolate at Chebyshev nodes; each is better than the ISA's table asks (PTX ISA, 9.7.3): ex2, lg2, rsqrt
// 2 places, sin and cos 2^-20.5 absolute, tanh 2^-11 relative.
#include <cfloat>
#include <cmath>

#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

llvm::Value* FunctionTranslator::polynomial(Value* x, llvm::ArrayRef<double> coefficients) {
  Value* sum = f32(coefficients[0]);
  for (double c : coefficients.drop_front()) sum = intrinsic(llvm::Intrinsic::fma, {sum, x, f32(c)});
  return sum;
}

// 2^x = 2^n * 2^f, n the nearest integer. The scale is applied in two halves: results may be subnormal.
llvm::Value* FunctionTranslator::exp2Approximation(Value* x) {
  x = builder_.CreateSelect(builder_.CreateFCmpOGT(x, f32(200)), f32(200), x);
  x = builder_.CreateSelect(builder_.CreateFCmpOLT(x, f32(-200)), f32(-200), x);
  Value* n = intrinsic(llvm::Intrinsic::rint, {x});
  Value* f = builder_.CreateFSub(x, n);
  Value* p = polynomial(f, {0.0001546144469646172, 0.0013400428177419153, 0.00961805667852609,
                            0.05550327226670944, 0.24022650922288827, 0.6931472067028321, 1.0});
  Value* whole =
      builder_.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {intType(32), builder_.getFloatTy()}, {n});
  Value* half = builder_.CreateAShr(whole, 1);
  auto power = [&](Value* e) {
    return builder_.CreateBitCast(builder_.CreateShl(builder_.CreateAdd(e, i32(127)), 23),
                                  builder_.getFloatTy());
  };
  return builder_.CreateFMul(builder_.CreateFMul(p, power(half)), power(builder_.CreateSub(whole, half)));
}

// log2(m 2^e) with m around 1: e + s g(s^2), s = (m - 1) / (m + 1).
llvm::Value* FunctionTranslator::log2Approximation(Value* x) {
  Value* small = builder_.CreateFCmpOLT(x, f32(FLT_MIN));
  Value* scaled = builder_.CreateSelect(small, builder_.CreateFMul(x, f32(8388608)), x);
  Value* bits = toBits(scaled);
  Value* shifted = builder_.CreateSub(bits, i32(0x3f3504f3));
  Value* exponent = builder_.CreateAShr(shifted, 23);
  Value* mantissa = builder_.CreateBitCast(builder_.CreateSub(bits, builder_.CreateShl(exponent, 23)),
                                           builder_.getFloatTy());
  Value* s =
      builder_.CreateFDiv(builder_.CreateFSub(mantissa, f32(1)), builder_.CreateFAdd(mantissa, f32(1)));
  Value* g = polynomial(
      builder_.CreateFMul(s, s),
      {0.3411315337121513, 0.4116519565960231, 0.5770839130725554, 0.9617966717333005, 2.8853900817912645});
  Value* e = builder_.CreateSIToFP(exponent, builder_.getFloatTy());
  e = builder_.CreateSelect(small, builder_.CreateFSub(e, f32(23)), e);
  Value* result = intrinsic(llvm::Intrinsic::fma, {s, g, e});
  Value* infinity = llvm::ConstantFP::getInfinity(builder_.getFloatTy());
  result = builder_.CreateSelect(builder_.CreateFCmpOEQ(x, infinity), infinity, result);
  result = builder_.CreateSelect(builder_.CreateFCmpOEQ(x, f32(0)),
                                 llvm::ConstantFP::getInfinity(builder_.getFloatTy(), true), result);
  return builder_.CreateSelect(builder_.CreateFCmpUGE(x, f32(0)), builder_.CreateSelect(isNan(x), x, result),
                               constant(Type::F32, 0x7fffffff));
}

// Quadrants of pi/2, which is three floats long: good to 2^-20.5 up to arguments of some thousands, as is the
// hardware's.
llvm::Value* FunctionTranslator::sineApproximation(Value* x, bool cosine) {
  Value* q = intrinsic(llvm::Intrinsic::rint, {builder_.CreateFMul(x, f32(0.63661977236758134))});
  Value* minus = builder_.CreateFNeg(q);
  Value* r = intrinsic(llvm::Intrinsic::fma, {minus, f32(1.5707963705062866), x});
  r = intrinsic(llvm::Intrinsic::fma, {minus, f32(-4.371138828673793e-08), r});
  r = intrinsic(llvm::Intrinsic::fma, {minus, f32(-1.7151245100058819e-15), r});
  Value* z = builder_.CreateFMul(r, r);
  Value* s = builder_.CreateFMul(r, polynomial(z, {-0.00019493863520999463, 0.008331957181621165,
                                                   -0.1666664919683307, 0.9999999965320157}));
  Value* c = polynomial(z, {2.436727737877506e-05, -0.0013886480426183213, 0.04166661207677474,
                            -0.4999999956666969, 0.9999999999449415});
  Value* quadrant =
      builder_.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {intType(32), builder_.getFloatTy()}, {q});
  if (cosine) quadrant = builder_.CreateAdd(quadrant, i32(1));
  Value* odd = builder_.CreateICmpNE(builder_.CreateAnd(quadrant, i32(1)), i32(0));
  Value* value = builder_.CreateSelect(odd, c, s);
  Value* sign = builder_.CreateShl(builder_.CreateAnd(quadrant, i32(2)), 30);
  value = builder_.CreateBitCast(builder_.CreateXor(toBits(value), sign), builder_.getFloatTy());
  if (cosine) return value;
  return builder_.CreateSelect(builder_.CreateFCmpOEQ(x, f32(0)), x, value);  // keeps the sign of zero
}

llvm::Value* FunctionTranslator::tanhApproximation(Value* x) {
  Value* magnitude = intrinsic(llvm::Intrinsic::fabs, {x});
  Value* z = builder_.CreateFMul(x, x);
  Value* near = builder_.CreateFMul(
      magnitude, polynomial(z, {0.016197316739019033, -0.052525400339292865, 0.1331781467384761,
                                -0.3333273981865589, 0.9999999632943226}));
  Value* power = exp2Approximation(builder_.CreateFMul(magnitude, f32(2.8853900817779268)));
  Value* far = builder_.CreateFSub(f32(1), builder_.CreateFDiv(f32(2), builder_.CreateFAdd(power, f32(1))));
  Value* result = builder_.CreateSelect(builder_.CreateFCmpOLT(magnitude, f32(0.55)), near, far);
  return builder_.CreateCopySign(result, x);
}

llvm::Value* FunctionTranslator::rsqrtApproximation(Value* x) {
  return builder_.CreateFDiv(f32(1), intrinsic(llvm::Intrinsic::sqrt, {x}));
}

}  // namespace vgpu::jit
