#include <llvm/IR/Intrinsics.h>

#include "cpu_driver/jit/loops_functions.h"

namespace vgpu::jit {

using llvm::BasicBlock;
using llvm::IRBuilder;
using llvm::Type;
using llvm::Value;

llvm::FixedVectorType* lanesType(const Plan& plan, Type* element) {
  return llvm::FixedVectorType::get(element, plan.shape.size);
}

void setBlock(Side& side, IRBuilder<>& builder, Value* block) {
  side.block = block;
  side.launch = side.code.field(builder, block, offsetof(kernel::BlockContext, launch), builder.getPtrTy());
  side.scratch = side.code.field(builder, block, offsetof(kernel::BlockContext, scratch), builder.getPtrTy());
}

void setGroup(Side& side, IRBuilder<>& builder, Value* group) {
  const GroupShape& shape = side.plan.shape;
  side.group = group;
  side.firstThread = builder.CreateMul(builder.CreateZExt(group, builder.getInt64Ty()),
                                       builder.getInt64(shape.size), "", true, true);
  if (!shape.rows) return;
  Value* row = group;
  side.firstX = builder.getInt32(0);
  if (shape.stripsPerRow > 1) {
    Value* strip = builder.CreateURem(group, builder.getInt32(shape.stripsPerRow));
    side.firstX = builder.CreateMul(strip, builder.getInt32(shape.size), "", true, true);
    row = builder.CreateUDiv(group, builder.getInt32(shape.stripsPerRow));
  }
  const auto& block = side.plan.block;
  side.y = block.y == 1 ? builder.getInt32(0) : builder.CreateURem(row, builder.getInt32(block.y));
  side.z = block.z == 1 ? builder.getInt32(0) : builder.CreateUDiv(row, builder.getInt32(block.y));
}

namespace {

class Diverged {
 public:
  explicit Diverged(const LoopsParts& parts)
      : parts_(parts), plan_(parts.plan), side_(plan_, parts.layout, parts.code) {}

  llvm::Function* emit(bool& failed) {
    llvm::LLVMContext& context = parts_.module.getContext();
    Type *i32 = Type::getInt32Ty(context), *pointer = llvm::PointerType::get(context, 0);
    auto* type = llvm::FunctionType::get(i32, {pointer, i32, Type::getInt1Ty(context)}, false);
    auto* function =
        llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, "vgpu_diverged", parts_.module);
    function->addFnAttr(llvm::Attribute::NoInline);
    side_.function = function;
    side_.whole = false;
    side_.accessGroup = parts_.accessGroup;
    auto* entry = BasicBlock::Create(context, "entry", function);
    schedule_ = BasicBlock::Create(context, "schedule", function);
    IRBuilder<> builder(entry);
    setBlock(side_, builder, function->getArg(0));
    setGroup(side_, builder, function->getArg(1));
    builder.CreateBr(schedule_);
    IRBuilder<> top(schedule_);
    mayReturn_ = top.CreatePHI(top.getInt1Ty(), 2);
    mayReturn_->addIncoming(function->getArg(2), entry);
    emitSchedule(top);
    failed = failed || side_.failed;
    return function;
  }

 private:
  BasicBlock* newBlock(const char* name) { return BasicBlock::Create(side_.context(), name, side_.function); }

  void again(BasicBlock* from) {
    mayReturn_->addIncoming(llvm::ConstantInt::getTrue(side_.context()), from);
    llvm::BranchInst::Create(schedule_, from);
  }

  Value* lanesOf(IRBuilder<>& builder, uint32_t offset, Type* element) {
    Value* address = side_.scratchElement(builder, offset, element, side_.firstThread);
    return builder.CreateAlignedLoad(lanesType(plan_, element), address, llvm::Align(1));
  }

  // The smallest state runs first: regions are numbered in reverse post-order, so that lanes come together
  // again.
  void emitSchedule(IRBuilder<>& builder) {
    Type* i32 = builder.getInt32Ty();
    Value* states = lanesOf(builder, side_.layout.states, i32);
    Value* smallest = builder.CreateIntMinReduce(states, false);
    Value* largest = builder.CreateIntMaxReduce(states, false);
    BasicBlock *stuck = newBlock("stuck"), *runnable = newBlock("runnable"), *choose = newBlock("choose");
    builder.CreateCondBr(builder.CreateICmpUGE(smallest, builder.getInt32(kernel::kThreadWaiting)), stuck,
                         runnable);
    emitStuck(stuck, smallest);

    builder.SetInsertPoint(runnable);
    BasicBlock* together = newBlock("together");
    Value* one = builder.CreateAnd(builder.CreateICmpEQ(smallest, largest), mayReturn_);
    builder.CreateCondBr(plan_.rendezvous ? one : builder.getFalse(), together, choose);
    emitTogether(together, smallest, choose);

    BasicBlock* never = newBlock("never");
    new llvm::UnreachableInst(side_.context(), never);
    builder.SetInsertPoint(choose);
    llvm::SwitchInst* dispatch =
        builder.CreateSwitch(smallest, never, static_cast<unsigned>(plan_.points.size()));
    for (unsigned point = 0; point < plan_.points.size(); ++point) {
      BasicBlock* head = newBlock("region");
      dispatch->addCase(builder.getInt32(point), head);
      Region region(side_, point, Region::Soft::Passed);
      region.emit(head);
      again(region.after());
    }
  }

  void emitStuck(BasicBlock* stuck, Value* smallest) {
    IRBuilder<> builder(stuck);
    BasicBlock* leave = newBlock("leave");
    if (plan_.warpOperations) {
      BasicBlock* met = newBlock("met");
      auto meet = parts_.code.service("vgpu_loops_meet", builder.getInt32Ty(),
                                      {builder.getPtrTy(), builder.getInt32Ty()});
      Value* any = builder.CreateCall(meet, {side_.scratch, side_.group});
      builder.CreateCondBr(builder.CreateICmpNE(any, builder.getInt32(0)), met, leave);
      again(met);
    } else {
      builder.CreateBr(leave);
    }
    builder.SetInsertPoint(leave);
    Value* ended = builder.CreateICmpEQ(smallest, builder.getInt32(kernel::kThreadExited));
    Value* state = builder.CreateSelect(ended, builder.getInt32(kernel::kGroupFinished),
                                        builder.getInt32(kernel::kGroupDiverged));
    Value* offset = builder.CreateMul(builder.CreateZExt(side_.group, builder.getInt64Ty()),
                                      builder.getInt64(sizeof(kernel::LoopsGroup)));
    builder.CreateStore(
        state, builder.CreateInBoundsGEP(builder.getInt8Ty(), side_.scratchAt(builder, side_.layout.groups),
                                         offset));
    builder.CreateRet(builder.getInt32(~0u));
  }

  // All lanes have left one rendezvous. They are whole again if what must be equal is equal.
  void emitTogether(BasicBlock* together, Value* state, BasicBlock* choose) {
    IRBuilder<> builder(together);
    llvm::SwitchInst* dispatch = builder.CreateSwitch(state, choose);
    for (unsigned point = 0; point < plan_.points.size(); ++point) {
      if (!plan_.points[point].call) continue;
      BasicBlock* check = newBlock("check");
      dispatch->addCase(builder.getInt32(point), check);
      IRBuilder<> inner(check);
      Value* equal = inner.getTrue();
      std::vector<std::pair<unsigned, Value*>> firsts;
      for (const unsigned slot : plan_.liveAt[point].set_bits()) {
        if (!plan_.isScalar(plan_.slots[slot])) continue;
        Type* type = memoryType(plan_.slots[slot]->getType());
        Value* lanes = lanesOf(inner, side_.layout.slotArrays[slot], type);
        Value* first = inner.CreateExtractElement(lanes, uint64_t{0});
        Type* bits =
            inner.getIntNTy(static_cast<unsigned>(parts_.module.getDataLayout().getTypeSizeInBits(type)));
        const bool pointer = type->isPointerTy();
        Value* raw = pointer ? inner.CreatePtrToInt(lanes, lanesType(plan_, bits))
                             : inner.CreateBitCast(lanes, lanesType(plan_, bits));
        Value* rawFirst = inner.CreateExtractElement(raw, uint64_t{0});
        Value* same = inner.CreateICmpEQ(raw, inner.CreateVectorSplat(plan_.shape.size, rawFirst));
        equal = inner.CreateAnd(equal, inner.CreateAndReduce(same));
        firsts.emplace_back(slot, first);
      }
      BasicBlock* whole = newBlock("whole");
      inner.CreateCondBr(equal, whole, choose);
      inner.SetInsertPoint(whole);
      for (const auto& [slot, first] : firsts) {
        Value* group = inner.CreateZExt(side_.group, inner.getInt64Ty());
        inner.CreateStore(
            first, side_.scratchElement(inner, side_.layout.groupScalars[slot], first->getType(), group));
      }
      inner.CreateRet(inner.getInt32(point));
    }
  }

  const LoopsParts& parts_;
  const Plan& plan_;
  Side side_;
  BasicBlock* schedule_ = nullptr;
  llvm::PHINode* mayReturn_ = nullptr;
};

}  // namespace

llvm::Function* emitDiverged(const LoopsParts& parts, bool& failed) { return Diverged(parts).emit(failed); }

}  // namespace vgpu::jit
