// What passes between the registers of a whole group and the block's scratch memory, when it waits, diverges
// or comes back.
#include "cpu_driver/jit/loops_request.h"
#include "cpu_driver/jit/loops_whole.h"

namespace vgpu::jit {

using llvm::BasicBlock;
using llvm::IRBuilder;
using llvm::PHINode;
using llvm::Type;
using llvm::Value;

void Whole::prepareDivergedCall() {
  IRBuilder<> builder(callDiverged_);
  atOnce_ = builder.CreatePHI(builder.getInt1Ty(), 4);
}

void Whole::emitDivergedResult() {
  IRBuilder<> builder(callDiverged_);
  Value* point = builder.CreateCall(diverged_, {side_.block, side_.group, atOnce_});
  forgetSlots(builder);
  llvm::SwitchInst* dispatch = builder.CreateSwitch(point, groupDone_);
  if (keepsStates()) makeResumes(dispatch);
}

// A group that comes back from scratch memory to a rendezvous' region.
void Whole::makeResumes(llvm::SwitchInst* dispatch) {
  IRBuilder<> builder(side_.context());
  for (unsigned point = 0; point < plan_.points.size(); ++point) {
    if (!plan_.points[point].call && !plan_.points[point].takesTurns) continue;
    if (resumes_.size() < plan_.points.size()) resumes_.resize(plan_.points.size());
    if (!resumes_[point]) {
      resumes_[point] = newBlock("resume");
      emitResume(point);
    }
    dispatch->addCase(builder.getInt32(point), resumes_[point]);
  }
}

void Whole::emitResume(unsigned point) {
  IRBuilder<> builder(resumes_[point]);
  for (const unsigned slot : plan_.liveAt[point].set_bits()) {
    Type* type = memoryType(plan_.slots[slot]->getType());
    if (side_.scalarSlots[slot]) {
      Value* group = builder.CreateZExt(side_.group, builder.getInt64Ty());
      Value* from = side_.scratchElement(builder, side_.layout.groupScalars[slot], type, group);
      builder.CreateStore(builder.CreateLoad(type, from), side_.scalarSlots[slot]);
    } else if (type->isVectorTy()) {
      copyArray(builder, slot, false);
    } else {
      storeArray(builder, side_.slotArrays[slot], loadLanes(builder, side_.layout.slotArrays[slot], type));
    }
  }
  if (resultValues_[point]) loadResults(builder, point);
  builder.CreateBr(heads_[point]);
}

void Whole::copyArray(IRBuilder<>& builder, unsigned slot, bool out) {
  Type* type = memoryType(plan_.slots[slot]->getType());
  const uint64_t bytes =
      parts_.module.getDataLayout().getTypeAllocSize(type).getFixedValue() * plan_.shape.size;
  Value* memory = side_.scratchElement(builder, side_.layout.slotArrays[slot], type, side_.firstThread);
  Value* array = side_.slotArrays[slot];
  builder.CreateMemCpy(out ? memory : array, llvm::Align(1), out ? array : memory, llvm::Align(1), bytes);
}

void Whole::loadResults(IRBuilder<>& builder, unsigned point) {
  Value* packed = loadLanes(builder, side_.layout.results, builder.getInt64Ty());
  Value* values = builder.CreateTrunc(packed, lanesType(plan_, builder.getInt32Ty()));
  Value* high = builder.CreateTrunc(builder.CreateLShr(packed, 32), lanesType(plan_, builder.getInt8Ty()));
  Value* predicates = builder.CreateAnd(high, splat(builder, builder.getInt8(1)));
  storeArray(builder, resultValues_[point], values);
  if (resultPredicates_[point]) storeArray(builder, resultPredicates_[point], predicates);
}

void Whole::keepForLater(IRBuilder<>& builder, unsigned target) {
  for (const unsigned slot : plan_.liveAt[target].set_bits()) {
    Type* type = memoryType(plan_.slots[slot]->getType());
    if (side_.scalarSlots[slot]) {
      Value* group = builder.CreateZExt(side_.group, builder.getInt64Ty());
      Value* to = side_.scratchElement(builder, side_.layout.groupScalars[slot], type, group);
      builder.CreateStore(builder.CreateLoad(type, side_.scalarSlots[slot]), to);
    } else if (type->isVectorTy()) {
      copyArray(builder, slot, true);
    } else {
      storeLanes(builder, side_.layout.slotArrays[slot], loadArray(builder, side_.slotArrays[slot]));
    }
  }
}

// Hands the group to the other function: all that lives on goes to scratch memory, thread by thread. `keys`
// names the ways that lanes took, `lanes` each lane's way; null: all took the one in `ways`.
void Whole::emitDiverge(IRBuilder<>& builder, Region& region, const std::vector<unsigned>& ways,
                        Value* lanes) {
  llvm::BitVector live(static_cast<unsigned>(plan_.slots.size()));
  for (const unsigned key : ways) {
    if (region.keys()[key].target >= 0)
      live |= plan_.liveAt[static_cast<unsigned>(region.keys()[key].target)];
  }
  saveSlots(builder, live);
  Value* states = splat(builder, builder.getInt32(kernel::kThreadExited));
  for (const unsigned key : ways) {
    const RegionKey& way = region.keys()[key];
    if (way.target < 0) continue;
    const auto target = static_cast<unsigned>(way.target);
    Value* mine =
        lanes ? builder.CreateICmpEQ(lanes, splat(builder, builder.getInt8(static_cast<uint8_t>(key))))
              : splat(builder, builder.getTrue());
    const uint32_t state = target | (plan_.points[target].call ? kernel::kThreadWaiting : 0);
    states = builder.CreateSelect(mine, splat(builder, builder.getInt32(state)), states);
    saveScalarPhis(builder, region, way, mine);
    if (plan_.points[target].call) saveRequests(builder, region, target, mine);
  }
  storeLanes(builder, side_.layout.states, states);
  atOnce_->addIncoming(builder.getFalse(), builder.GetInsertBlock());
  builder.CreateBr(callDiverged_);
}

void Whole::saveSlots(IRBuilder<>& builder, const llvm::BitVector& live) {
  for (const unsigned slot : live.set_bits()) {
    Type* type = memoryType(plan_.slots[slot]->getType());
    if (side_.scalarSlots[slot]) {
      storeLanes(builder, side_.layout.slotArrays[slot],
                 splat(builder, builder.CreateLoad(type, side_.scalarSlots[slot])));
    } else if (type->isVectorTy()) {
      copyArray(builder, slot, true);
    } else {
      storeLanes(builder, side_.layout.slotArrays[slot], loadArray(builder, side_.slotArrays[slot]));
    }
  }
}

void Whole::saveScalarPhis(IRBuilder<>& builder, Region& region, const RegionKey& way, Value* mine) {
  const auto target = static_cast<unsigned>(way.target);
  for (const PHINode& phi : plan_.points[target].block->phis()) {
    const auto slot = plan_.slotOf.find(&phi);
    if (slot == plan_.slotOf.end() || !side_.scalarSlots[slot->second]) continue;
    Value* value = region.scalar(phi.getIncomingValueForBlock(way.from));
    if (value->getType()->isIntegerTy(1)) value = builder.CreateZExt(value, builder.getInt8Ty());
    const uint32_t offset = side_.layout.slotArrays[slot->second];
    Value* before = loadLanes(builder, offset, value->getType());
    storeLanes(builder, offset, builder.CreateSelect(mine, splat(builder, value), before));
  }
}

// The lanes in `mine` wait at `target`: their operands. A cold path, lane by lane.
void Whole::saveRequests(IRBuilder<>& builder, Region& region, unsigned target, Value* mine) {
  const Point& point = plan_.points[target];
  std::vector<Value*> operands;
  for (unsigned i = 0; i < point.call->arg_size(); ++i)
    operands.push_back(operandOf(builder, region, target, i));
  BasicBlock *before = builder.GetInsertBlock(), *loop = newBlock("request"),
             *store = newBlock("request.store"), *next = newBlock("request.next"),
             *done = newBlock("request.done");
  builder.CreateBr(loop);
  builder.SetInsertPoint(loop);
  PHINode* lane = builder.CreatePHI(builder.getInt64Ty(), 2);
  lane->addIncoming(builder.getInt64(0), before);
  builder.CreateCondBr(builder.CreateExtractElement(mine, lane), store, next);
  builder.SetInsertPoint(store);
  Value* thread = builder.CreateAdd(side_.firstThread, lane);
  const auto argument = [&](unsigned i) -> Value* {
    return operands[i]->getType()->isVectorTy() ? builder.CreateExtractElement(operands[i], lane)
                                                : operands[i];
  };
  storeRequest(builder, point.operation, side_.request(builder, thread), argument);
  builder.CreateBr(next);
  builder.SetInsertPoint(next);
  Value* following = builder.CreateAdd(lane, builder.getInt64(1));
  lane->addIncoming(following, next);
  builder.CreateCondBr(builder.CreateICmpEQ(following, builder.getInt64(plan_.shape.size)), done, loop);
  builder.SetInsertPoint(done);
}

// A guard of the region failed: all lanes are at its start, with the results of its rendezvous.
void Whole::emitRefused(BasicBlock* block, unsigned point) {
  IRBuilder<> builder(block);
  saveSlots(builder, plan_.liveAt[point]);
  if (resultValues_[point]) {
    Value* values = loadArray(builder, resultValues_[point]);
    Type* wide = lanesType(plan_, builder.getInt64Ty());
    Value* packed = builder.CreateZExt(values, wide);
    if (resultPredicates_[point]) {
      Value* high = builder.CreateZExt(loadArray(builder, resultPredicates_[point]), wide);
      packed = builder.CreateOr(packed, builder.CreateShl(high, 32));
    }
    storeLanes(builder, side_.layout.results, packed);
  }
  storeLanes(builder, side_.layout.states, splat(builder, builder.getInt32(point)));
  atOnce_->addIncoming(builder.getFalse(), builder.GetInsertBlock());
  builder.CreateBr(callDiverged_);
}

}  // namespace vgpu::jit
