// Barriers and the operations of a warp.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

// The members: an operand, or for the forms of old without .sync whoever is active.
llvm::Value* FunctionTranslator::memberMask(const Instruction& i, size_t index) {
  return i.has(Modifier::Sync) ? read(i, index, Type::U32) : mark(Marker::ActiveMask);
}

// bar.red.op p, a {, b}, q: a barrier that combines a predicate of all threads.
void FunctionTranslator::barrierReduce(const Instruction& i) {
  bool counted = i.operandCount == 4;
  auto operation = i.has(Modifier::Popc)  ? ReduceOperation::Popc
                   : i.has(Modifier::And) ? ReduceOperation::And
                                          : ReduceOperation::Or;
  Value* count = counted ? read(i, 2, Type::U32) : i32(0);
  Value* result = mark(Marker::BarrierReduce, {i32(uint32_t(operation)), read(i, 1, Type::U32), count,
                                               readPredicate(i, counted ? 3 : 2)});
  if (operation == ReduceOperation::Popc) return write(i, 0, result, Type::U32);
  write(i, 0, builder_.CreateICmpNE(result, i32(0)), Type::Pred);
}

// A cluster has one block: its barrier is the block's, at the wait.
void FunctionTranslator::barrierCluster(const Instruction& i) {
  if (i.has(Modifier::Arrive)) return;
  mark(Marker::Barrier, {i32(0), i32(0)});
}

void FunctionTranslator::barrier(const Instruction& i) {
  if (i.has(Modifier::Cluster)) return barrierCluster(i);
  if (i.has(Modifier::Warp)) {
    mark(Marker::WarpSync, {read(i, 0, Type::U32)});
    return;
  }
  if (i.has(Modifier::Red)) return barrierReduce(i);
  Value* id = read(i, 0, Type::U32);
  Value* count = i.operandCount > 1 ? read(i, 1, Type::U32) : i32(0);
  mark(i.has(Modifier::Arrive) ? Marker::BarrierArrive : Marker::Barrier, {id, count});
}

void FunctionTranslator::shuffle(const Instruction& i) {
  size_t first = i.paired ? 2 : 1;
  auto mode = i.has(Modifier::Up)     ? ShuffleMode::Up
              : i.has(Modifier::Down) ? ShuffleMode::Down
              : i.has(Modifier::Bfly) ? ShuffleMode::Bfly
                                      : ShuffleMode::Idx;
  Value* mask = memberMask(i, first + 3);
  Value* value = read(i, first, Type::B32);
  Value* b = read(i, first + 1, Type::U32);
  Value* c = read(i, first + 2, Type::U32);
  Value* both = mark(Marker::Shuffle, {i32(uint32_t(mode)), mask, value, b, c});
  write(i, 0, builder_.CreateExtractValue(both, 0), Type::B32);
  if (i.paired) write(i, 1, builder_.CreateExtractValue(both, 1), Type::Pred);
}

void FunctionTranslator::vote(const Instruction& i) {
  auto mode = i.has(Modifier::Ballot) ? VoteMode::Ballot
              : i.has(Modifier::All)  ? VoteMode::All
              : i.has(Modifier::Any)  ? VoteMode::Any
                                      : VoteMode::Uni;
  Value* mask = memberMask(i, 2);
  Value* result = mark(Marker::Vote, {i32(uint32_t(mode)), mask, readPredicate(i, 1)});
  if (mode == VoteMode::Ballot) return write(i, 0, result, Type::B32);
  write(i, 0, builder_.CreateICmpNE(result, i32(0)), Type::Pred);
}

void FunctionTranslator::match(const Instruction& i) {
  size_t first = i.paired ? 2 : 1;
  Value* value = builder_.CreateZExt(read(i, first, i.types[0]), intType(64));
  Value* mask = memberMask(i, first + 1);
  if (i.has(Modifier::Any)) return write(i, 0, mark(Marker::MatchAny, {mask, value}), Type::B32);
  Value* both = mark(Marker::MatchAll, {mask, value});
  write(i, 0, builder_.CreateExtractValue(both, 0), Type::B32);
  if (i.paired) write(i, 1, builder_.CreateExtractValue(both, 1), Type::Pred);
}

void FunctionTranslator::activeMask(const Instruction& i) {
  write(i, 0, mark(Marker::ActiveMask), Type::B32);
}

void FunctionTranslator::redux(const Instruction& i) {
  bool isSigned = ptx::isSigned(i.types[0]);
  ReduxOperation operation = ReduxOperation::Add;
  if (i.has(Modifier::Min)) operation = isSigned ? ReduxOperation::MinSigned : ReduxOperation::MinUnsigned;
  if (i.has(Modifier::Max)) operation = isSigned ? ReduxOperation::MaxSigned : ReduxOperation::MaxUnsigned;
  if (i.has(Modifier::And)) operation = ReduxOperation::And;
  if (i.has(Modifier::Or)) operation = ReduxOperation::Or;
  if (i.has(Modifier::Xor)) operation = ReduxOperation::Xor;
  Value* value = read(i, 1, Type::B32);
  write(i, 0, mark(Marker::Redux, {i32(uint32_t(operation)), read(i, 2, Type::U32), value}), i.types[0]);
}

// The lowest member is elected.
void FunctionTranslator::elect(const Instruction& i) {
  Value* mask = read(i, i.paired ? 2 : 1, Type::U32);
  mark(Marker::WarpSync, {mask});
  Value* leader = intrinsic(llvm::Intrinsic::cttz, {mask, builder_.getFalse()});
  write(i, 0, leader, Type::U32);
  if (i.paired) write(i, 1, builder_.CreateICmpEQ(leader, mark(Marker::LaneId)), Type::Pred);
}

}  // namespace vgpu::jit
