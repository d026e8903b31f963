// The ways out of a region, for a whole group: on to the next region, to a barrier, through an operation of
// the warp.
#include <numeric>

#include "cpu_driver/jit/loops_warp.h"
#include "cpu_driver/jit/loops_whole.h"

namespace vgpu::jit {

using kernel::LoopsGroup;
using llvm::BasicBlock;
using llvm::IRBuilder;
using llvm::PHINode;
using llvm::Value;

void Whole::emitPoint(unsigned point) {
  Region region(side_, point, Region::Soft::Ends);
  emitRegion(region, heads_[point]);
  if (!region.parted()) return;
  Region masked(side_, point, Region::Soft::Passed);
  emitRegion(masked, region.parted());
}

void Whole::emitRegion(Region& region, BasicBlock* head) {
  const unsigned point = region.point();
  region.setResultArrays(resultValues_[point], resultPredicates_[point]);
  region.emit(head);
  if (region.refused()) emitRefused(region.refused(), point);
  std::vector<BasicBlock*> targets;
  for (unsigned key = 0; key < region.keys().size(); ++key) {
    targets.push_back(newBlock("go"));
    emitGo(targets.back(), region, key);
  }
  if (targets.size() == 1) {
    llvm::BranchInst::Create(targets[0], region.after());
  } else if (region.keyArray()) {
    emitUndecided(region, targets);
  } else {
    BasicBlock* apart = region.mayPart() ? newBlock("apart") : nullptr;
    region.decide(region.after(), targets, apart);
    if (!apart) return;
    IRBuilder<> builder(apart);
    emitDiverge(builder, region, allKeys(region), region.keysOfLanes(builder));
  }
}

std::vector<unsigned> Whole::allKeys(const Region& region) {
  std::vector<unsigned> all(region.keys().size());
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

// Lanes went different ways, or all the same one.
void Whole::emitUndecided(Region& region, const std::vector<BasicBlock*>& targets) {
  IRBuilder<> builder(region.after());
  Value* keys = loadArray(builder, region.keyArray());
  Value* first = builder.CreateExtractElement(keys, uint64_t{0});
  Value* same = builder.CreateAndReduce(builder.CreateICmpEQ(keys, splat(builder, first)));
  BasicBlock *together = newBlock("same.way"), *apart = newBlock("apart"), *never = newBlock("never");
  builder.CreateCondBr(same, together, apart);
  new llvm::UnreachableInst(side_.context(), never);
  builder.SetInsertPoint(together);
  llvm::SwitchInst* dispatch = builder.CreateSwitch(first, never, static_cast<unsigned>(targets.size()));
  for (unsigned key = 0; key < targets.size(); ++key)
    dispatch->addCase(builder.getInt8(static_cast<uint8_t>(key)), targets[key]);
  builder.SetInsertPoint(apart);
  emitDiverge(builder, region, allKeys(region), keys);
}

// One way for all lanes.
void Whole::emitGo(BasicBlock* block, Region& region, unsigned key) {
  IRBuilder<> builder(block);
  const RegionKey& way = region.keys()[key];
  if (way.target < 0) {
    if (keepsStates())
      storeGroup(builder, side_.group, offsetof(LoopsGroup, state), builder.getInt32(kernel::kGroupFinished));
    builder.CreateBr(groupDone_);
    return;
  }
  const auto target = static_cast<unsigned>(way.target);
  const Point& point = plan_.points[target];
  if (!point.call) {
    storeScalarPhis(builder, region, key);
    if (point.takesTurns && target == region.point()) emitTurn(builder, target);
    builder.CreateBr(heads_[target]);
  } else if (point.operation == Marker::Barrier && plan_.isScalar(point.call->getArgOperand(0)) &&
             plan_.isScalar(point.call->getArgOperand(1))) {
    waitAtBarrier(builder, region, target);
  } else if (plan_.shape.size == kernel::kWarpSize && inlineWarpOperation(point.operation) &&
             constantMode(point)) {
    emitTogetherOperation(builder, region, key, target);
  } else if (point.operation == Marker::Matrix) {
    emitTogetherMatrix(builder, region, target);
  } else {
    emitDiverge(builder, region, {key}, nullptr);
  }
}

// The operands' array is the list of the lanes' registers that the service wants.
void Whole::emitTogetherMatrix(IRBuilder<>& builder, Region& region, unsigned target) {
  Value* operation = plan_.points[target].call->getArgOperand(0);
  auto service = parts_.code.service("vgpu_loops_matrix", builder.getVoidTy(),
                                     {builder.getInt64Ty(), builder.getPtrTy()});
  builder.CreateCall(service, {operation, region.operandArray(target, 1)});
  builder.CreateBr(heads_[target]);
}

bool Whole::constantMode(const Point& point) {
  return point.call->arg_size() < 2 || llvm::isa<llvm::ConstantInt>(point.call->getArgOperand(0));
}

void Whole::storeScalarPhis(IRBuilder<>& builder, Region& region, unsigned key) {
  const RegionKey& way = region.keys()[key];
  for (const PHINode& phi : plan_.points[static_cast<unsigned>(way.target)].block->phis()) {
    const auto slot = plan_.slotOf.find(&phi);
    if (slot == plan_.slotOf.end() || !side_.scalarSlots[slot->second]) continue;
    storeSlotValue(builder, region.scalar(phi.getIncomingValueForBlock(way.from)),
                   side_.scalarSlots[slot->second]);
  }
}

// Every so many turns of the loop the other groups of the block have theirs.
void Whole::emitTurn(IRBuilder<>& builder, unsigned target) {
  constexpr uint32_t kTurns = 16;
  Value* turns = builder.CreateAdd(builder.CreateLoad(builder.getInt32Ty(), turns_), builder.getInt32(1));
  builder.CreateStore(turns, turns_);
  BasicBlock *pause = newBlock("pause"), *go = newBlock("go.on");
  Value* enough = builder.CreateICmpEQ(builder.CreateAnd(turns, kTurns - 1), builder.getInt32(0));
  builder.CreateCondBr(enough, pause, go);
  builder.SetInsertPoint(pause);
  keepForLater(builder, target);
  storeGroup(builder, side_.group, offsetof(LoopsGroup, state), builder.getInt32(target));
  builder.CreateBr(groupDone_);
  builder.SetInsertPoint(go);
}

void Whole::waitAtBarrier(IRBuilder<>& builder, Region& region, unsigned target) {
  const Point& point = plan_.points[target];
  keepForLater(builder, target);
  storeGroup(builder, side_.group, offsetof(LoopsGroup, barrier),
             region.scalar(point.call->getArgOperand(0)));
  storeGroup(builder, side_.group, offsetof(LoopsGroup, count), region.scalar(point.call->getArgOperand(1)));
  storeGroup(builder, side_.group, offsetof(LoopsGroup, state),
             builder.getInt32(target | kernel::kGroupWaiting));
  const auto isZero = [&](unsigned argument) {
    const auto* number = llvm::dyn_cast<llvm::ConstantInt>(point.call->getArgOperand(argument));
    return number && number->isZero();
  };
  if (isZero(0) && isZero(1)) {
    Value* before = builder.CreateLoad(builder.getInt32Ty(), arrived_);
    builder.CreateStore(builder.CreateAdd(before, builder.getInt32(1)), arrived_);
  }
  builder.CreateBr(groupDone_);
}

Value* Whole::operandOf(IRBuilder<>& builder, Region& region, unsigned target, unsigned argument) {
  Value* value = plan_.points[target].call->getArgOperand(argument);
  if (plan_.isScalar(value)) return region.scalar(value);
  return loadArray(builder, region.operandArray(target, argument));
}

void Whole::emitTogetherOperation(IRBuilder<>& builder, Region& region, unsigned key, unsigned target) {
  const Point& point = plan_.points[target];
  std::vector<Value*> operands;
  for (unsigned i = 0; i < point.call->arg_size(); ++i)
    operands.push_back(operandOf(builder, region, target, i));
  if (point.operation != Marker::ActiveMask) {
    Value* all = namesAllLanes(builder, operands[maskArgument(point.operation)]);
    if (!llvm::isa<llvm::ConstantInt>(all) || llvm::cast<llvm::ConstantInt>(all)->isZero()) {
      BasicBlock *line = newBlock("all.lanes"), *some = newBlock("some.lanes");
      builder.CreateCondBr(all, line, some);
      builder.SetInsertPoint(some);
      emitDiverge(builder, region, {key}, nullptr);
      builder.SetInsertPoint(line);
    }
  }
  const WarpResult result = emitWarpOperation(builder, point.operation, operands);
  if (result.values) storeArray(builder, resultValues_[target], result.values);
  if (result.predicates && resultPredicates_[target])
    storeArray(builder, resultPredicates_[target], result.predicates);
  builder.CreateBr(heads_[target]);
}

}  // namespace vgpu::jit
