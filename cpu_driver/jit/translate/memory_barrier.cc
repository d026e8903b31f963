// mbarrier: a barrier that is a word of shared memory (PTX ISA 9.0, 9.7.13.15). The word is opaque to
// programs; here, from its low end: 20 bits of arrivals pending in this phase, 20 bits of those that each
// phase expects, 22 bits of bytes still to come, signed because a copy may be over before it is announced,
// and at the top the phase's parity. A phase ends when neither arrivals nor bytes are pending. Waiting is a
// test that the program repeats.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {
namespace {

constexpr uint64_t kCountBits = 20, kCountMask = (uint64_t{1} << kCountBits) - 1;
constexpr uint64_t kBytesShift = 2 * kCountBits, kBytesBits = 22, kPhaseShift = 63;

}  // namespace

// The operations below in one: the word that follows `old` is computed and swapped in.
llvm::Value* FunctionTranslator::arrive(Value* barrier, const Arrival& arrival) {
  const auto wide = [&](uint64_t value) { return builder_.getInt64(value); };
  const auto number = [&](Value* value, bool isSigned) -> Value* {
    if (value == nullptr) return wide(0);
    return isSigned ? builder_.CreateSExt(value, intType(64)) : builder_.CreateZExt(value, intType(64));
  };
  Value* count = number(arrival.count, false);
  Value* bytes = number(arrival.bytes, true);
  return atomicLoop(barrier, 64, llvm::AtomicOrdering::AcquireRelease, 8, [&](Value* old) -> Value* {
    Value* pending = builder_.CreateAnd(builder_.CreateSub(old, count), wide(kCountMask));
    Value* expected = builder_.CreateAnd(builder_.CreateLShr(old, kCountBits), wide(kCountMask));
    if (arrival.drops) expected = builder_.CreateAnd(builder_.CreateSub(expected, count), wide(kCountMask));
    constexpr uint64_t kAbove = 64 - kBytesShift - kBytesBits;
    Value* toCome = builder_.CreateAShr(builder_.CreateShl(old, kAbove), 64 - kBytesBits);
    toCome = builder_.CreateAdd(toCome, bytes);
    Value* ends =
        builder_.CreateAnd(builder_.CreateICmpEQ(pending, wide(0)), builder_.CreateICmpEQ(toCome, wide(0)));
    pending = builder_.CreateSelect(ends, expected, pending);
    Value* phase =
        builder_.CreateXor(builder_.CreateLShr(old, kPhaseShift), builder_.CreateZExt(ends, intType(64)));
    toCome = builder_.CreateAnd(toCome, wide((uint64_t{1} << kBytesBits) - 1));
    Value* made = builder_.CreateOr(pending, builder_.CreateShl(expected, kCountBits));
    made = builder_.CreateOr(made, builder_.CreateShl(toCome, kBytesShift));
    return builder_.CreateOr(made, builder_.CreateShl(phase, kPhaseShift));
  });
}

// A copy of so many bytes is over: what st.async, red.async and cp.async.bulk tell the barrier.
void FunctionTranslator::completeBytes(const Instruction& i, size_t barrier, Value* bytes) {
  arrive(addressOf(i, operand(i, barrier), Space::Shared), {nullptr, builder_.CreateNeg(bytes)});
}

// mbarrier.arrive, .arrive_drop {state,} [barrier] {, count}; with .expect_tx the third operand is of bytes.
void FunctionTranslator::arriveAt(const Instruction& i, bool drops) {
  Value* third = i.operandCount > 2 ? read(i, 2, Type::U32) : nullptr;
  Arrival arrival{i32(1), nullptr, drops};
  if (i.has(Modifier::ExpectTx)) {
    if (third == nullptr) return invalid(i, "the number of bytes is missing");
    arrival.bytes = third;
  } else if (third != nullptr) {
    arrival.count = third;
  }
  write(i, 0, arrive(addressOf(i, operand(i, 1), i.space), arrival), Type::B64);
}

// Whether the phase of a state, or of a parity, has ended: it is no longer the current one.
void FunctionTranslator::testPhase(const Instruction& i) {
  Access access{i.space, false, false,
                i.has(Modifier::Relaxed) ? llvm::AtomicOrdering::Monotonic : llvm::AtomicOrdering::Acquire};
  Value* current = loadElement(access, addressOf(i, operand(i, 1), i.space), Type::B64, 8);
  Value* phase = builder_.CreateLShr(current, kPhaseShift);
  Value* asked = i.has(Modifier::Parity)
                     ? builder_.CreateZExt(builder_.CreateAnd(read(i, 2, Type::U32), i32(1)), intType(64))
                     : builder_.CreateLShr(read(i, 2, Type::B64), kPhaseShift);
  write(i, 0, builder_.CreateICmpNE(phase, asked), Type::Pred);
}

void FunctionTranslator::memoryBarrierObject(const Instruction& i) {
  if (i.typeCount != 1) return unsupported(i);
  if (i.has(Modifier::TestWait) || i.has(Modifier::TryWait)) return testPhase(i);
  if (i.has(Modifier::Arrive)) return arriveAt(i, false);
  if (i.has(Modifier::ArriveDrop)) return arriveAt(i, true);
  if (i.has(Modifier::PendingCount)) {
    Value* pending = builder_.CreateAnd(read(i, 1, Type::B64), builder_.getInt64(kCountMask));
    return write(i, 0, builder_.CreateTrunc(pending, intType(32)), Type::U32);
  }
  Value* barrier = addressOf(i, operand(i, 0), i.space);
  if (i.has(Modifier::Inval)) return;  // the memory is free for anything
  Value* number = read(i, 1, Type::U32);
  if (i.has(Modifier::Init)) {
    Value* count = builder_.CreateZExt(number, intType(64));
    Value* word = builder_.CreateOr(count, builder_.CreateShl(count, kCountBits));
    return storeElement({i.space, false, false, llvm::AtomicOrdering::Monotonic}, barrier, word, 8);
  }
  if (i.has(Modifier::ExpectTx)) return void(arrive(barrier, {nullptr, number}));
  if (i.has(Modifier::CompleteTx)) return void(arrive(barrier, {nullptr, builder_.CreateNeg(number)}));
  unsupported(i);
}

}  // namespace vgpu::jit
