// Comparisons, predicates and selection.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {
namespace {

bool isHalfSized(Type type) {
  return ptx::isFloating(type) && (ptx::sizeOf(type) == 2 || ptx::elementsOf(type) == 2) &&
         type != Type::F32x2;
}

llvm::CmpInst::Predicate integerPredicate(Modifier how, bool isSigned) {
  using P = llvm::CmpInst::Predicate;
  switch (how) {
    case Modifier::Eq:
      return P::ICMP_EQ;
    case Modifier::Ne:
      return P::ICMP_NE;
    case Modifier::Lt:
      return isSigned ? P::ICMP_SLT : P::ICMP_ULT;
    case Modifier::Le:
      return isSigned ? P::ICMP_SLE : P::ICMP_ULE;
    case Modifier::Gt:
      return isSigned ? P::ICMP_SGT : P::ICMP_UGT;
    case Modifier::Ge:
      return isSigned ? P::ICMP_SGE : P::ICMP_UGE;
    case Modifier::Lo:
      return P::ICMP_ULT;
    case Modifier::Ls:
      return P::ICMP_ULE;
    case Modifier::Hi:
      return P::ICMP_UGT;
    case Modifier::Hs:
      return P::ICMP_UGE;
    default:
      return P::BAD_ICMP_PREDICATE;
  }
}

llvm::CmpInst::Predicate floatPredicate(Modifier how) {
  using P = llvm::CmpInst::Predicate;
  switch (how) {
    case Modifier::Eq:
      return P::FCMP_OEQ;
    case Modifier::Ne:
      return P::FCMP_ONE;
    case Modifier::Lt:
      return P::FCMP_OLT;
    case Modifier::Le:
      return P::FCMP_OLE;
    case Modifier::Gt:
      return P::FCMP_OGT;
    case Modifier::Ge:
      return P::FCMP_OGE;
    case Modifier::Equ:
      return P::FCMP_UEQ;
    case Modifier::Neu:
      return P::FCMP_UNE;
    case Modifier::Ltu:
      return P::FCMP_ULT;
    case Modifier::Leu:
      return P::FCMP_ULE;
    case Modifier::Gtu:
      return P::FCMP_UGT;
    case Modifier::Geu:
      return P::FCMP_UGE;
    case Modifier::Num:
      return P::FCMP_ORD;
    case Modifier::Nan:
      return P::FCMP_UNO;
    default:
      return P::BAD_FCMP_PREDICATE;
  }
}

}  // namespace

// The comparison is the first modifier that is one: .and, .or, .xor and .ftz follow it.
Modifier FunctionTranslator::comparisonOf(const Instruction& i) const {
  for (int k = 0; k < i.modifierCount; ++k) {
    Modifier m = i.modifiers[k];
    if (integerPredicate(m, true) != llvm::CmpInst::BAD_ICMP_PREDICATE) return m;
    if (floatPredicate(m) != llvm::CmpInst::BAD_FCMP_PREDICATE) return m;
  }
  return Modifier::None;
}

std::optional<Modifier> FunctionTranslator::combinationOf(const Instruction& i) const {
  for (Modifier m : {Modifier::And, Modifier::Or, Modifier::Xor}) {
    if (i.has(m)) return m;
  }
  return std::nullopt;
}

llvm::Value* FunctionTranslator::combine(Modifier how, Value* a, Value* b) {
  if (how == Modifier::And) return builder_.CreateAnd(a, b);
  if (how == Modifier::Or) return builder_.CreateOr(a, b);
  return builder_.CreateXor(a, b);
}

llvm::Value* FunctionTranslator::comparison(const Instruction& i, Value* a, Value* b, Type type) {
  Modifier how = comparisonOf(i);
  if (a->getType()->isFloatingPointTy()) {
    auto predicate = floatPredicate(how);
    if (predicate == llvm::CmpInst::BAD_FCMP_PREDICATE) {
      invalid(i, "no such comparison of floating-point numbers");
      return builder_.getFalse();
    }
    return builder_.CreateFCmp(predicate, a, b);
  }
  auto predicate = integerPredicate(how, ptx::isSigned(type));
  if (predicate == llvm::CmpInst::BAD_ICMP_PREDICATE) {
    invalid(i, "no such comparison of integers");
    return builder_.getFalse();
  }
  return builder_.CreateICmp(predicate, a, b);
}

llvm::Value* FunctionTranslator::compareOperands(const Instruction& i, size_t a, size_t b, Type type) {
  Value* x = read(i, a, type);
  Value* y = read(i, b, type);
  if (isHalfSized(type)) return comparison(i, halfToFloat(x, type), halfToFloat(y, type), type);
  return comparison(i, flush(i, x), flush(i, y), type);
}

void FunctionTranslator::setp(const Instruction& i) {
  Type type = i.types[0];
  size_t first = i.paired ? 2 : 1;
  Value* results[2];
  if (ptx::elementsOf(type) == 2) {
    Type one = scalarHalf(type);
    for (unsigned k = 0; k < 2; ++k) {
      results[k] = comparison(i, halfToFloat(lane(read(i, first, type), k), one),
                              halfToFloat(lane(read(i, first + 1, type), k), one), one);
    }
  } else {
    results[0] = compareOperands(i, first, first + 1, type);
    results[1] = builder_.CreateNot(results[0]);
  }
  if (auto how = combinationOf(i)) {
    Value* c = readPredicate(i, first + 2);
    for (Value*& result : results) result = combine(*how, result, c);
  }
  write(i, 0, results[0], Type::Pred);
  if (i.paired) write(i, 1, results[1], Type::Pred);
}

// Each half by itself: 1.0 or 0 in the type of the result, all ones or 0 in an integer.
void FunctionTranslator::setPacked(const Instruction& i, size_t first) {
  Type type = i.types[1], one = scalarHalf(type);
  uint16_t yes = i.types[0] == Type::F16x2 ? 0x3c00 : i.types[0] == Type::BF16x2 ? 0x3f80 : 0xffff;
  Value* parts[2];
  for (unsigned k = 0; k < 2; ++k) {
    Value* result = comparison(i, halfToFloat(lane(read(i, first, type), k), one),
                               halfToFloat(lane(read(i, first + 1, type), k), one), one);
    if (auto how = combinationOf(i)) result = combine(*how, result, readPredicate(i, first + 2));
    parts[k] = builder_.CreateSelect(result, builder_.getInt16(yes), builder_.getInt16(0));
  }
  write(i, 0, pack(parts[0], parts[1]), Type::B32);
}

void FunctionTranslator::set(const Instruction& i) {
  Type to = i.types[0], type = i.types[1];
  size_t first = i.paired ? 2 : 1;
  if (ptx::elementsOf(type) == 2) return setPacked(i, first);
  Value* result = compareOperands(i, first, first + 1, type);
  Value* inverse = builder_.CreateNot(result);
  if (auto how = combinationOf(i)) {
    Value* c = readPredicate(i, first + 2);
    result = combine(*how, result, c);
    inverse = combine(*how, inverse, c);
  }
  Value* yes = nullptr;
  if (to == Type::F32)
    yes = f32(1);
  else if (to == Type::F16)
    yes = builder_.getInt16(0x3c00);
  else if (to == Type::BF16)
    yes = builder_.getInt16(0x3f80);
  else
    yes = llvm::Constant::getAllOnesValue(typeOf(to));
  write(i, 0, builder_.CreateSelect(result, yes, llvm::Constant::getNullValue(yes->getType())), to);
  if (i.paired) write(i, 1, inverse, Type::Pred);
}

void FunctionTranslator::selp(const Instruction& i) {
  Type type = i.types[0];
  write(i, 0, builder_.CreateSelect(readPredicate(i, 3), read(i, 1, type), read(i, 2, type)), type);
}

// d = c >= 0 ? a : b; a NaN is not, -0 is.
void FunctionTranslator::slct(const Instruction& i) {
  Type type = i.types[0];
  Value* c = flush(i, read(i, 3, i.types[1]));
  Value* first =
      i.types[1] == Type::F32 ? builder_.CreateFCmpOGE(c, f32(0)) : builder_.CreateICmpSGE(c, i32(0));
  write(i, 0, builder_.CreateSelect(first, read(i, 1, type), read(i, 2, type)), type);
}

}  // namespace vgpu::jit
