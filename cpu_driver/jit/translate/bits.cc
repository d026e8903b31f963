// Logic, shifts and bit fields. Shifts past the width are defined: PTX clamps them, LLVM must never see them.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

void FunctionTranslator::bitAnd(const Instruction& i) {
  write(i, 0, builder_.CreateAnd(read(i, 1, i.types[0]), read(i, 2, i.types[0])), i.types[0]);
}
void FunctionTranslator::bitOr(const Instruction& i) {
  write(i, 0, builder_.CreateOr(read(i, 1, i.types[0]), read(i, 2, i.types[0])), i.types[0]);
}
void FunctionTranslator::bitXor(const Instruction& i) {
  write(i, 0, builder_.CreateXor(read(i, 1, i.types[0]), read(i, 2, i.types[0])), i.types[0]);
}
void FunctionTranslator::bitNot(const Instruction& i) {
  write(i, 0, builder_.CreateNot(read(i, 1, i.types[0])), i.types[0]);
}

void FunctionTranslator::cnot(const Instruction& i) {
  Value* a = read(i, 1, i.types[0]);
  Value* zero = builder_.CreateICmpEQ(a, llvm::ConstantInt::get(a->getType(), 0));
  write(i, 0, builder_.CreateZExt(zero, a->getType()), i.types[0]);
}

// d = F(a, b, c), F given by its truth table; with .and, .or also p = (d != 0) op q.
void FunctionTranslator::lop3(const Instruction& i) {
  size_t first = i.paired ? 2 : 1;
  Value* a = read(i, first, Type::B32);
  Value* b = read(i, first + 1, Type::B32);
  Value* c = read(i, first + 2, Type::B32);
  const Operand& table = operand(i, first + 3);
  if (table.kind != Operand::Kind::Integer) return invalid(i, "the table must be a constant");
  Value* result = i32(0);
  for (unsigned row = 0; row < 8; ++row) {
    if (!(table.bits >> row & 1)) continue;
    Value* term =
        builder_.CreateAnd(row & 4 ? a : builder_.CreateNot(a), row & 2 ? b : builder_.CreateNot(b));
    term = builder_.CreateAnd(term, row & 1 ? c : builder_.CreateNot(c));
    result = builder_.CreateOr(result, term);
  }
  write(i, 0, result, Type::B32);
  if (!i.has(Modifier::And) && !i.has(Modifier::Or)) return;
  Value* p = builder_.CreateICmpNE(result, i32(0));
  Value* q = readPredicate(i, first + 4);
  write(i, i.paired ? 1 : 0, i.has(Modifier::And) ? builder_.CreateAnd(p, q) : builder_.CreateOr(p, q),
        Type::Pred);
}

// The amount, at most bits - 1; `tooFar` says whether it was more.
llvm::Value* FunctionTranslator::shiftAmount(const Instruction& i, size_t index, unsigned bits,
                                             Value** tooFar) {
  Value* amount = read(i, index, Type::U32);
  *tooFar = builder_.CreateICmpUGE(amount, i32(bits));
  Value* last = i32(bits - 1);
  Value* clamped = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, amount, last);
  return builder_.CreateZExtOrTrunc(clamped, intType(bits));
}

void FunctionTranslator::shl(const Instruction& i) {
  Value* a = read(i, 1, i.types[0]);
  Value* tooFar = nullptr;
  Value* amount = shiftAmount(i, 2, a->getType()->getIntegerBitWidth(), &tooFar);
  Value* zero = llvm::ConstantInt::get(a->getType(), 0);
  write(i, 0, builder_.CreateSelect(tooFar, zero, builder_.CreateShl(a, amount)), i.types[0]);
}

void FunctionTranslator::shr(const Instruction& i) {
  Value* a = read(i, 1, i.types[0]);
  Value* tooFar = nullptr;
  Value* amount = shiftAmount(i, 2, a->getType()->getIntegerBitWidth(), &tooFar);
  if (ptx::isSigned(i.types[0])) return write(i, 0, builder_.CreateAShr(a, amount), i.types[0]);
  Value* zero = llvm::ConstantInt::get(a->getType(), 0);
  write(i, 0, builder_.CreateSelect(tooFar, zero, builder_.CreateLShr(a, amount)), i.types[0]);
}

// The funnel {b, a}, b the high half: .l gives its high word after a left shift, .r its low word after a
// right one.
void FunctionTranslator::shf(const Instruction& i) {
  Value* a = read(i, 1, Type::B32);
  Value* b = read(i, 2, Type::B32);
  Value* amount = read(i, 3, Type::U32);
  amount = i.has(Modifier::Wrap) ? builder_.CreateAnd(amount, i32(31))
                                 : builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, amount, i32(32));
  llvm::Type* wide = intType(64);
  Value* funnel =
      builder_.CreateOr(builder_.CreateShl(builder_.CreateZExt(b, wide), 32), builder_.CreateZExt(a, wide));
  Value* by = builder_.CreateZExt(amount, wide);
  Value* shifted = i.has(Modifier::L) ? builder_.CreateLShr(builder_.CreateShl(funnel, by), 32)
                                      : builder_.CreateLShr(funnel, by);
  write(i, 0, builder_.CreateTrunc(shifted, intType(32)), Type::B32);
}

// Bytes of {b, a} picked by the nibbles of c; the high bit of a nibble replicates the byte's sign instead.
void FunctionTranslator::prmt(const Instruction& i) {
  llvm::Type* wide = intType(64);
  Value* pool = builder_.CreateOr(builder_.CreateShl(builder_.CreateZExt(read(i, 2, Type::B32), wide), 32),
                                  builder_.CreateZExt(read(i, 1, Type::B32), wide));
  Value* c = read(i, 3, Type::B32);
  Value* low = builder_.CreateAnd(c, i32(3));
  Value* result = i32(0);
  for (unsigned k = 0; k < 4; ++k) {
    Value* pick = nullptr;
    bool sign = false;
    auto lowIs = [&](unsigned value) { return builder_.CreateICmpEQ(low, i32(value)); };
    if (i.has(Modifier::F4e)) pick = builder_.CreateAdd(low, i32(k));
    if (i.has(Modifier::B4e)) pick = builder_.CreateAnd(builder_.CreateSub(low, i32(k)), i32(7));
    if (i.has(Modifier::Rc8)) pick = low;
    if (i.has(Modifier::Ecl)) pick = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, low, i32(k));
    if (i.has(Modifier::Ecr)) pick = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, low, i32(k));
    if (i.has(Modifier::Rc16)) {
      Value* upper = builder_.CreateOr(lowIs(1), lowIs(3));
      pick = builder_.CreateSelect(upper, i32(2 + k % 2), i32(k % 2));
    }
    if (pick == nullptr) {
      pick = builder_.CreateAnd(builder_.CreateLShr(c, 4 * k), i32(15));
      sign = true;
    }
    Value* index = builder_.CreateZExt(builder_.CreateAnd(pick, i32(7)), wide);
    Value* byte = builder_.CreateTrunc(builder_.CreateLShr(pool, builder_.CreateShl(index, 3)), intType(8));
    if (sign) {
      Value* replicate = builder_.CreateICmpNE(builder_.CreateAnd(pick, i32(8)), i32(0));
      byte = builder_.CreateSelect(replicate, builder_.CreateAShr(byte, 7), byte);
    }
    result = builder_.CreateOr(result, builder_.CreateShl(builder_.CreateZExt(byte, intType(32)), 8 * k));
  }
  write(i, 0, result, Type::B32);
}

void FunctionTranslator::popc(const Instruction& i) {
  write(i, 0,
        builder_.CreateZExtOrTrunc(intrinsic(llvm::Intrinsic::ctpop, {read(i, 1, i.types[0])}), intType(32)),
        Type::U32);
}

void FunctionTranslator::clz(const Instruction& i) {
  Value* zeros = intrinsic(llvm::Intrinsic::ctlz, {read(i, 1, i.types[0]), builder_.getFalse()});
  write(i, 0, builder_.CreateZExtOrTrunc(zeros, intType(32)), Type::U32);
}

void FunctionTranslator::brev(const Instruction& i) {
  write(i, 0, intrinsic(llvm::Intrinsic::bitreverse, {read(i, 1, i.types[0])}), i.types[0]);
}

// The place of the highest bit that differs from the sign, or all ones; .shiftamt: the shift that brings it
// to the top.
void FunctionTranslator::bfind(const Instruction& i) {
  Value* a = read(i, 1, i.types[0]);
  unsigned bits = a->getType()->getIntegerBitWidth();
  if (ptx::isSigned(i.types[0])) a = builder_.CreateXor(a, builder_.CreateAShr(a, bits - 1));
  Value* zeros = intrinsic(llvm::Intrinsic::ctlz, {a, builder_.getFalse()});
  zeros = builder_.CreateZExtOrTrunc(zeros, intType(32));
  Value* none = builder_.CreateICmpEQ(zeros, i32(bits));
  Value* found = i.has(Modifier::Shiftamt) ? zeros : builder_.CreateSub(i32(bits - 1), zeros);
  write(i, 0, builder_.CreateSelect(none, i32(UINT32_MAX), found), Type::U32);
}

// The place of the n-th set bit of the mask, counted from base upwards (n > 0) or downwards (n < 0); base
// itself if n = 0. A bit at base counts. Without a loop: the wanted rank among set bits, then a search by
// halves.
void FunctionTranslator::fns(const Instruction& i) {
  Value* mask = read(i, 1, Type::B32);
  Value* wanted = read(i, 2, Type::U32);
  Value* base = builder_.CreateAnd(wanted, i32(31));
  Value* offset = read(i, 3, Type::S32);
  Value* below =
      intrinsic(llvm::Intrinsic::ctpop,
                {builder_.CreateAnd(mask, builder_.CreateSub(builder_.CreateShl(i32(1), base), i32(1)))});
  Value* atBase = builder_.CreateAnd(builder_.CreateLShr(mask, base), i32(1));
  Value* up = builder_.CreateICmpSGT(offset, i32(0));
  // Rank from 0: upwards below + offset - 1; downwards below + atBase + offset.
  Value* rank = builder_.CreateSelect(up, builder_.CreateSub(builder_.CreateAdd(below, offset), i32(1)),
                                      builder_.CreateAdd(builder_.CreateAdd(below, atBase), offset));
  Value* count = intrinsic(llvm::Intrinsic::ctpop, {mask});
  Value* exists = builder_.CreateICmpULT(rank, count);
  Value* place = i32(0);
  Value* rest = rank;
  for (unsigned width = 16; width != 0; width /= 2) {
    Value* part = builder_.CreateAnd(builder_.CreateLShr(mask, place), i32((uint32_t{1} << width) - 1));
    Value* here = intrinsic(llvm::Intrinsic::ctpop, {part});
    Value* beyond = builder_.CreateICmpUGE(rest, here);
    rest = builder_.CreateSelect(beyond, builder_.CreateSub(rest, here), rest);
    place = builder_.CreateAnd(builder_.CreateSelect(beyond, builder_.CreateAdd(place, i32(width)), place),
                               i32(31));
  }
  Value* found = builder_.CreateSelect(exists, place, i32(UINT32_MAX));
  Value* self = builder_.CreateSelect(builder_.CreateICmpNE(atBase, i32(0)), base, i32(UINT32_MAX));
  Value* result = builder_.CreateSelect(builder_.CreateICmpEQ(offset, i32(0)), self, found);
  Value* inside = builder_.CreateICmpULT(wanted, i32(32));
  write(i, 0, builder_.CreateSelect(inside, result, i32(UINT32_MAX)), Type::B32);
}

// `length` bits of a from `position` on, extended by the field's own top bit (or a's) if signed.
void FunctionTranslator::bfe(const Instruction& i) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  unsigned bits = a->getType()->getIntegerBitWidth();
  llvm::Type* own = a->getType();
  auto sized = [&](Value* v) { return builder_.CreateZExtOrTrunc(v, own); };
  Value* position = sized(builder_.CreateAnd(read(i, 2, Type::U32), i32(255)));
  Value* length = sized(builder_.CreateAnd(read(i, 3, Type::U32), i32(255)));
  Value* limit = llvm::ConstantInt::get(own, bits - 1);
  Value* width = llvm::ConstantInt::get(own, bits);
  Value* zero = llvm::ConstantInt::get(own, 0);
  bool isSigned = ptx::isSigned(type);
  Value* outside = builder_.CreateICmpUGT(position, limit);
  Value* at = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, position, limit);
  Value* shifted = isSigned ? builder_.CreateAShr(a, at) : builder_.CreateLShr(a, at);
  if (!isSigned) shifted = builder_.CreateSelect(outside, zero, shifted);
  // Move the field to the top and back; a field that reaches past the end is filled by what the first shift
  // brought in.
  Value* kept = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, length, width);
  Value* up = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, builder_.CreateSub(width, kept), limit);
  Value* top = builder_.CreateShl(shifted, up);
  Value* field = isSigned ? builder_.CreateAShr(top, up) : builder_.CreateLShr(top, up);
  write(i, 0, builder_.CreateSelect(builder_.CreateICmpEQ(length, zero), zero, field), type);
}

void FunctionTranslator::bfi(const Instruction& i) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  Value* b = read(i, 2, type);
  unsigned bits = a->getType()->getIntegerBitWidth();
  llvm::Type* own = a->getType();
  auto sized = [&](Value* v) { return builder_.CreateZExtOrTrunc(v, own); };
  Value* position = sized(builder_.CreateAnd(read(i, 3, Type::U32), i32(255)));
  Value* length = sized(builder_.CreateAnd(read(i, 4, Type::U32), i32(255)));
  Value* limit = llvm::ConstantInt::get(own, bits - 1);
  Value* zero = llvm::ConstantInt::get(own, 0);
  Value* ones = llvm::ConstantInt::getAllOnesValue(own);
  Value* kept = builder_.CreateAnd(length, limit);
  Value* part = builder_.CreateSub(builder_.CreateShl(llvm::ConstantInt::get(own, 1), kept),
                                   llvm::ConstantInt::get(own, 1));
  Value* mask = builder_.CreateSelect(builder_.CreateICmpUGT(length, limit), ones, part);
  Value* at = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, position, limit);
  Value* outside = builder_.CreateICmpUGT(position, limit);
  mask = builder_.CreateSelect(outside, zero, builder_.CreateShl(mask, at));
  Value* moved = builder_.CreateShl(a, at);
  write(i, 0,
        builder_.CreateOr(builder_.CreateAnd(b, builder_.CreateNot(mask)), builder_.CreateAnd(moved, mask)),
        type);
}

// Sign or zero extension from n bits.
void FunctionTranslator::szext(const Instruction& i) {
  Type type = i.types[0];
  Value* a = read(i, 1, type);
  Value* n = read(i, 2, Type::U32);
  if (i.has(Modifier::Wrap)) n = builder_.CreateAnd(n, i32(31));
  Value* all = builder_.CreateICmpUGE(n, i32(32));
  Value* none = builder_.CreateICmpEQ(n, i32(0));
  Value* up = builder_.CreateAnd(builder_.CreateSub(i32(32), n), i32(31));
  Value* top = builder_.CreateShl(a, up);
  Value* field = ptx::isSigned(type) ? builder_.CreateAShr(top, up) : builder_.CreateLShr(top, up);
  write(i, 0, builder_.CreateSelect(none, i32(0), builder_.CreateSelect(all, a, field)), type);
}

// b ones from bit a on.
void FunctionTranslator::bmsk(const Instruction& i) {
  Value* a = read(i, 1, Type::U32);
  Value* b = read(i, 2, Type::U32);
  if (i.has(Modifier::Wrap)) {
    a = builder_.CreateAnd(a, i32(31));
    b = builder_.CreateAnd(b, i32(31));
  }
  auto low = [&](Value* count) {  // count ones, all for 32 and more
    Value* part = builder_.CreateSub(builder_.CreateShl(i32(1), builder_.CreateAnd(count, i32(31))), i32(1));
    return builder_.CreateSelect(builder_.CreateICmpUGE(count, i32(32)), i32(UINT32_MAX), part);
  };
  Value* shifted = builder_.CreateShl(low(b), builder_.CreateAnd(a, i32(31)));
  write(i, 0, builder_.CreateSelect(builder_.CreateICmpUGE(a, i32(32)), i32(0), shifted), Type::B32);
}

// Dot products of bytes, and of halves of a with bytes of b; the first type is a's, the second b's.
void FunctionTranslator::dp4a(const Instruction& i) {
  Value* a = read(i, 1, Type::B32);
  Value* b = read(i, 2, Type::B32);
  Value* sum = read(i, 3, Type::B32);
  auto part = [&](Value* v, unsigned k, bool isSigned) {
    Value* byte = builder_.CreateTrunc(builder_.CreateLShr(v, 8 * k), intType(8));
    return isSigned ? builder_.CreateSExt(byte, intType(32)) : builder_.CreateZExt(byte, intType(32));
  };
  for (unsigned k = 0; k < 4; ++k) {
    Value* product =
        builder_.CreateMul(part(a, k, ptx::isSigned(i.types[0])), part(b, k, ptx::isSigned(i.types[1])));
    sum = builder_.CreateAdd(sum, product);
  }
  write(i, 0, sum, Type::B32);
}

void FunctionTranslator::dp2a(const Instruction& i) {
  Value* a = read(i, 1, Type::B32);
  Value* b = read(i, 2, Type::B32);
  Value* sum = read(i, 3, Type::B32);
  unsigned first = i.has(Modifier::Hi) ? 2 : 0;
  for (unsigned k = 0; k < 2; ++k) {
    Value* half = lane(a, k);
    Value* byte = builder_.CreateTrunc(builder_.CreateLShr(b, 8 * (first + k)), intType(8));
    Value* x = ptx::isSigned(i.types[0]) ? builder_.CreateSExt(half, intType(32))
                                         : builder_.CreateZExt(half, intType(32));
    Value* y = ptx::isSigned(i.types[1]) ? builder_.CreateSExt(byte, intType(32))
                                         : builder_.CreateZExt(byte, intType(32));
    sum = builder_.CreateAdd(sum, builder_.CreateMul(x, y));
  }
  write(i, 0, sum, Type::B32);
}

}  // namespace vgpu::jit
