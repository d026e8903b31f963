// Where a region's code finds the values of the thread function: computed here, beside the lanes, in a slot,
// or anew.
#include "cpu_driver/jit/loops_affine.h"
#include "cpu_driver/jit/loops_region.h"

namespace vgpu::jit {

using llvm::BasicBlock;
using llvm::Instruction;
using llvm::IRBuilder;
using llvm::Type;
using llvm::Value;

Value* Region::scalar(const Value* value) {
  if (llvm::isa<llvm::Constant>(value)) return const_cast<Value*>(value);
  if (const auto found = scalars_.find(value); found != scalars_.end()) return found->second;
  const auto* instruction = llvm::cast<Instruction>(value);
  Value* made = nullptr;
  if (const auto slot = plan_.slotOf.find(value); slot != plan_.slotOf.end()) {
    // Read at the very start of the head: the slot is written again before the region is left.
    IRBuilder<> first(head_, head_->getFirstInsertionPt());
    made = loadSlotValue(first, value->getType(), side_.scalarSlots[slot->second]);
  } else {
    Instruction* copy = instruction->clone();
    copy->setMetadata(llvm::LLVMContext::MD_dbg, nullptr);
    for (llvm::Use& operand : copy->operands()) {
      if (!llvm::isa<llvm::Constant>(operand.get())) operand.set(scalar(operand.get()));
    }
    scalarCode_.Insert(copy);
    made = copy;
    if (calledMarker(*copy) != Marker::Count) {
      IRBuilder<> before(copy);
      made = side_.code.value(before, *llvm::cast<llvm::CallInst>(copy), threadValues(before));
      copy->eraseFromParent();
    }
  }
  return scalars_[value] = made;
}

Value* Region::use(const Value* value) {
  if (llvm::isa<llvm::Constant, BasicBlock>(value)) return const_cast<Value*>(value);
  if (llvm::isa<llvm::Argument>(value)) return llvm::PoisonValue::get(value->getType());
  if (const auto found = local_.find(value); found != local_.end() && found->second) return found->second;
  if (side_.whole && plan_.isScalar(value)) return scalar(value);
  if (plan_.slotOf.count(value) != 0) return slotLoad(value);
  if (plan_.isScalar(value) || plan_.recomputed.count(value) != 0)
    return recompute(*llvm::cast<Instruction>(value));
  side_.failed = true;
  return llvm::PoisonValue::get(value->getType());
}

Value* Region::slotLoad(const Value* value) {
  if (const auto found = slotLoads_.find(value); found != slotLoads_.end()) return found->second;
  const unsigned slot = plan_.slotOf.lookup(value);
  IRBuilder<> first(laneEntry_, laneEntry_->begin());
  Type* type = memoryType(value->getType());
  Value* address = side_.whole ? first.CreateInBoundsGEP(type, side_.slotArrays[slot], lane_)
                               : side_.scratchElement(first, side_.layout.slotArrays[slot], type, thread_);
  return slotLoads_[value] = loadSlotValue(first, value->getType(), address);
}

Value* Region::tid(IRBuilder<>& builder, unsigned axis) {
  const auto& block = plan_.block;
  if (plan_.shape.rows) {
    if (axis == 0) return builder.CreateAdd(side_.firstX, lane32_, "", true, true);
    return axis == 1 ? side_.y : side_.z;
  }
  Value* linear = builder.CreateTrunc(thread_, builder.getInt32Ty());
  if (axis == 0) return builder.CreateURem(linear, builder.getInt32(block.x));
  Value* row = builder.CreateUDiv(linear, builder.getInt32(block.x));
  if (axis == 1) return builder.CreateURem(row, builder.getInt32(block.y));
  return builder.CreateUDiv(row, builder.getInt32(block.y));
}

ThreadValues Region::threadValues(IRBuilder<>& builder) {
  ThreadValues values;
  values.launch = side_.launch;
  values.block = side_.block;
  const bool inLanes = builder.GetInsertBlock() != head_;
  const bool warps = plan_.shape.isWarp(plan_.block);
  if (inLanes) {
    for (unsigned axis = 0; axis < 3; ++axis) values.tid[axis] = tid(builder, axis);
    Value* row =
        builder.CreateAdd(builder.CreateMul(values.tid[2], builder.getInt32(plan_.block.y)), values.tid[1]);
    values.linear = builder.CreateAdd(builder.CreateMul(row, builder.getInt32(plan_.block.x)), values.tid[0]);
    values.lane = warps ? lane32_ : builder.CreateAnd(values.linear, 31);
  } else {
    values.tid[0] = side_.firstX;  // groups of one lane
    values.tid[1] = side_.y;
    values.tid[2] = side_.z;
    if (plan_.shape.rows) {
      Value* row = builder.CreateAdd(builder.CreateMul(side_.z, builder.getInt32(plan_.block.y)), side_.y);
      values.linear =
          builder.CreateAdd(builder.CreateMul(row, builder.getInt32(plan_.block.x)), side_.firstX);
      values.lane = builder.CreateAnd(values.linear, 31);
    }
  }
  values.warp = warps ? side_.group : values.linear ? builder.CreateLShr(values.linear, 5) : nullptr;
  values.localBegin = side_.scratchAt(builder, side_.layout.locals);
  values.localEnd = side_.scratchAt(builder, side_.layout.bytes);
  return values;
}

namespace {

// What LLVM does not see through: 32-bit indices that become 64-bit ones, parts of a thread's index.
bool hidesGrowth(const Instruction& instruction) {
  if (llvm::isa<llvm::ZExtInst, llvm::SExtInst>(instruction)) return instruction.getType()->isIntegerTy(64);
  return instruction.getOpcode() == Instruction::And || instruction.getOpcode() == Instruction::LShr;
}

}  // namespace

Value* Region::recompute(const Instruction& instruction) {
  if (const auto found = recomputed_.find(&instruction); found != recomputed_.end()) return found->second;
  Value* made = side_.whole && hidesGrowth(instruction) ? affineInLane(instruction) : nullptr;
  if (made) return recomputed_[&instruction] = made;
  if (llvm::isa<llvm::AllocaInst>(instruction)) {
    Value* mine = laneCode_.CreateMul(thread_, laneCode_.getInt64(plan_.localBytes));
    Value* base = side_.scratchAt(laneCode_, side_.layout.locals + plan_.localOffset.lookup(&instruction));
    made = laneCode_.CreateInBoundsGEP(laneCode_.getInt8Ty(), base, mine);
  } else {
    Instruction* copy = instruction.clone();
    copy->setMetadata(llvm::LLVMContext::MD_dbg, nullptr);
    for (llvm::Use& operand : copy->operands()) {
      if (!llvm::isa<llvm::Constant>(operand.get())) operand.set(use(operand.get()));
    }
    laneCode_.Insert(copy);
    made = copy;
    if (calledMarker(*copy) != Marker::Count) {
      IRBuilder<> before(copy);
      made = side_.code.value(before, *llvm::cast<llvm::CallInst>(copy), threadValues(before));
      copy->eraseFromParent();
    }
  }
  return recomputed_[&instruction] = made;
}

}  // namespace vgpu::jit
