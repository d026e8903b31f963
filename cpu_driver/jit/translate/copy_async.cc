// Asynchronous copies: done at once, which their groups and barriers allow, so that waiting for them is
// nothing.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

// cp.async.mbarrier.arrive: the copies so far are over. It adds the arrival that it makes, but for .noinc.
void FunctionTranslator::copyAsync(const Instruction& i) {
  if (!i.has(Modifier::Async)) return unsupported(i);
  if (i.has(Modifier::CommitGroup) || i.has(Modifier::WaitGroup) || i.has(Modifier::WaitAll)) return;
  if (i.has(Modifier::Bulk)) return copyAsyncBulk(i);
  if (!i.has(Modifier::Mbarrier)) return copyAsyncElement(i);
  if (!i.has(Modifier::Arrive)) return unsupported(i);
  if (i.has(Modifier::Noinc)) arrive(addressOf(i, operand(i, 0), i.space), {i32(1), nullptr});
}

// cp.async.bulk [to], [from], size {, [barrier]} {, mask of blocks} {, policy}. A cluster has one block.
void FunctionTranslator::copyAsyncBulk(const Instruction& i) {
  if (i.has(Modifier::Prefetch)) return;
  const bool toBarrier = i.has(Modifier::MbarrierCompleteTxBytes);
  if (toBarrier == i.has(Modifier::BulkGroup)) return unsupported(i);
  Value* bytes = read(i, 2, Type::U32);
  Value* to = addressOf(i, operand(i, 0), i.space);
  Value* from = addressOf(i, operand(i, 1), i.toSpace);
  builder_.CreateMemCpy(to, llvm::Align(16), from, llvm::Align(16), builder_.CreateZExt(bytes, intType(64)));
  if (toBarrier) completeBytes(i, 3, bytes);
}

// cp.async: 4, 8 or 16 bytes. A fourth operand is the source's size, or a predicate to ignore it; a policy
// comes last.
void FunctionTranslator::copyAsyncElement(const Instruction& i) {
  const Operand& count = operand(i, 2);
  if (count.kind != Operand::Kind::Integer || (count.bits != 4 && count.bits != 8 && count.bits != 16)) {
    return invalid(i, "the size must be 4, 8 or 16");
  }
  Value* to = addressOf(i, operand(i, 0), Space::Shared);
  Value* from = addressOf(i, operand(i, 1), Space::Global);
  Value* limit = i32(uint32_t(count.bits));
  if (i.operandCount - (i.has(Modifier::L2CacheHint) ? 1 : 0) > 3) {
    bool predicate = registerType(operand(i, 3)) == Type::Pred;
    limit = predicate ? builder_.CreateSelect(readPredicate(i, 3), i32(0), limit) : read(i, 3, Type::U32);
  }
  for (uint32_t at = 0; at < count.bits; at += 4) copyWord(to, from, limit, at);
}

// Bytes beyond the source's size are zero and are not read.
void FunctionTranslator::copyWord(Value* to, Value* from, Value* limit, uint32_t at) {
  llvm::BasicBlock* before = builder_.GetInsertBlock();
  llvm::BasicBlock* reads = newBlock("copy");
  llvm::BasicBlock* joined = newBlock("copied");
  builder_.CreateCondBr(builder_.CreateICmpUGT(limit, i32(at)), reads, joined);
  builder_.SetInsertPoint(reads);
  Value* word = builder_.CreateAlignedLoad(intType(32), byteOffset(from, at), llvm::Align(4));
  Value* shift =
      builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, builder_.CreateSub(limit, i32(at)), i32(4));
  Value* bits = builder_.CreateZExt(builder_.CreateShl(shift, 3), intType(64));
  Value* mask = builder_.CreateTrunc(
      builder_.CreateSub(builder_.CreateShl(builder_.getInt64(1), bits), builder_.getInt64(1)), intType(32));
  word = builder_.CreateAnd(word, mask);
  builder_.CreateBr(joined);
  builder_.SetInsertPoint(joined);
  auto* merged = builder_.CreatePHI(intType(32), 2);
  merged->addIncoming(word, reads);
  merged->addIncoming(i32(0), before);
  builder_.CreateAlignedStore(merged, byteOffset(to, at), llvm::Align(4));
}

}  // namespace vgpu::jit
