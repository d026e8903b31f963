#include "cpu_driver/jit/loops_whole.h"

namespace vgpu::jit {

using kernel::LoopsGroup;
using llvm::BasicBlock;
using llvm::IRBuilder;
using llvm::PHINode;
using llvm::Type;
using llvm::Value;

llvm::Function* Whole::emit(bool& failed) {
  llvm::LLVMContext& context = parts_.module.getContext();
  auto* type = llvm::FunctionType::get(Type::getVoidTy(context), {llvm::PointerType::get(context, 0)}, false);
  auto* function =
      llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, kEntryName, parts_.module);
  function->setVisibility(llvm::GlobalValue::HiddenVisibility);
  function->getArg(0)->addAttr(llvm::Attribute::NoAlias);
  side_.function = function;
  side_.whole = true;
  side_.accessGroup = parts_.accessGroup;
  auto* entry = newBlock("entry");
  IRBuilder<> builder(entry);
  makeSlots(builder);
  setBlock(side_, builder, function->getArg(0));
  initialise(builder);
  emitGroups(builder);
  failed = failed || side_.failed;
  return function;
}

llvm::AllocaInst* Whole::array(IRBuilder<>& builder, Type* element) {
  auto* alloca = builder.CreateAlloca(llvm::ArrayType::get(element, plan_.shape.size));
  alloca->setAlignment(llvm::Align(64));
  return alloca;
}

void Whole::makeSlots(IRBuilder<>& builder) {
  for (const llvm::Instruction* slot : plan_.slots) {
    Type* type = memoryType(slot->getType());
    const bool scalar = plan_.isScalar(slot);
    side_.slotArrays.push_back(scalar ? nullptr : array(builder, type));
    side_.scalarSlots.push_back(scalar ? builder.CreateAlloca(type) : nullptr);
  }
  turns_ = builder.CreateAlloca(builder.getInt32Ty());
  arrived_ = builder.CreateAlloca(builder.getInt32Ty());
  for (const Point& point : plan_.points) {
    const bool gives = point.call && !point.call->getType()->isVoidTy();
    const bool pair = gives && point.call->getType()->isStructTy();
    resultValues_.push_back(gives ? array(builder, builder.getInt32Ty()) : nullptr);
    resultPredicates_.push_back(pair ? array(builder, builder.getInt8Ty()) : nullptr);
    heads_.push_back(newBlock("whole"));
  }
}

void Whole::initialise(IRBuilder<>& builder) {
  const auto& shape = plan_.shape;
  if (!keepsStates()) return;
  const uint32_t fields[] = {
      shape.count,         shape.size,          static_cast<uint32_t>(plan_.block.count()),
      side_.layout.groups, side_.layout.states, side_.layout.requests,
      side_.layout.results};
  for (unsigned i = 0; i < std::size(fields); ++i)
    builder.CreateStore(builder.getInt32(fields[i]), side_.scratchAt(builder, i * sizeof(uint32_t)));
  for (uint32_t group = 0; group < shape.count; ++group)
    storeGroup(builder, builder.getInt32(group), offsetof(LoopsGroup, state), builder.getInt32(kStart));
}

Value* Whole::groupField(IRBuilder<>& builder, Value* group, size_t field) {
  Value* bytes = builder.CreateMul(builder.CreateZExt(group, builder.getInt64Ty()),
                                   builder.getInt64(sizeof(LoopsGroup)));
  Value* record =
      builder.CreateInBoundsGEP(builder.getInt8Ty(), side_.scratchAt(builder, side_.layout.groups), bytes);
  return builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), record, field);
}

void Whole::storeGroup(IRBuilder<>& builder, Value* group, size_t field, Value* value) {
  builder.CreateStore(value, groupField(builder, group, field));
}

void Whole::emitGroups(IRBuilder<>& builder) {
  BasicBlock *phase = newBlock("phase"), *entry = builder.GetInsertBlock();
  BasicBlock* start = newBlock("group.start");
  groupDone_ = newBlock("group.done");
  callDiverged_ = newBlock("diverged");
  builder.CreateBr(phase);
  builder.SetInsertPoint(phase);
  open_ = builder.CreatePHI(builder.getInt32Ty(), 3, "open");
  open_->addIncoming(builder.getInt32(0), entry);
  builder.CreateStore(builder.getInt32(0), arrived_);
  BasicBlock* groupHead = newBlock("group");
  builder.CreateBr(groupHead);
  builder.SetInsertPoint(groupHead);
  PHINode* group = builder.CreatePHI(builder.getInt32Ty(), 2, "group");
  group->addIncoming(builder.getInt32(0), phase);
  setGroup(side_, builder, group);
  forgetSlots(builder);
  prepareDivergedCall();
  if (keepsStates()) {
    Value* state =
        builder.CreateLoad(builder.getInt32Ty(), groupField(builder, group, offsetof(LoopsGroup, state)));
    state = builder.CreateAnd(state, builder.CreateNot(open_));
    llvm::SwitchInst* dispatch = builder.CreateSwitch(state, groupDone_);
    dispatch->addCase(builder.getInt32(kStart), start);
    BasicBlock* wasDiverged = newBlock("was.diverged");
    dispatch->addCase(builder.getInt32(kernel::kGroupDiverged), wasDiverged);
    IRBuilder<> was(wasDiverged);
    atOnce_->addIncoming(was.getTrue(), wasDiverged);
    was.CreateBr(callDiverged_);
    makeResumes(dispatch);
  } else {
    builder.CreateBr(start);
  }
  emitStart(start);
  emitDivergedResult();
  for (unsigned point = 0; point < plan_.points.size(); ++point) emitPoint(point);
  emitGroupDone(group, groupHead, phase);
}

void Whole::emitStart(BasicBlock* start) {
  IRBuilder<> builder(start);
  if (!plan_.shape.partial) {
    builder.CreateBr(heads_[0]);
    return;
  }
  Value *lacks = nullptr, *exist = nullptr;
  const auto& shape = plan_.shape;
  if (shape.rows && !plan_.warpOperations) {
    exist = builder.CreateSub(builder.getInt32(plan_.block.x), side_.firstX);
  } else {
    exist = builder.CreateSub(builder.getInt32(static_cast<uint32_t>(plan_.block.count())),
                              builder.CreateTrunc(side_.firstThread, builder.getInt32Ty()));
  }
  lacks = builder.CreateICmpULT(exist, builder.getInt32(shape.size));
  BasicBlock* partial = newBlock("partial");
  builder.CreateCondBr(lacks, partial, heads_[0]);
  builder.SetInsertPoint(partial);
  std::vector<llvm::Constant*> numbers;
  for (uint32_t lane = 0; lane < shape.size; ++lane) numbers.push_back(builder.getInt32(lane));
  Value* there =
      builder.CreateICmpULT(llvm::ConstantVector::get(numbers), builder.CreateVectorSplat(shape.size, exist));
  Value* states = builder.CreateSelect(there, splat(builder, builder.getInt32(0)),
                                       splat(builder, builder.getInt32(kernel::kThreadExited)));
  storeLanes(builder, side_.layout.states, states);
  atOnce_->addIncoming(builder.getFalse(), builder.GetInsertBlock());
  builder.CreateBr(callDiverged_);
}

Value* Whole::splat(IRBuilder<>& builder, Value* value) {
  return builder.CreateVectorSplat(plan_.shape.size, value);
}

void Whole::storeLanes(IRBuilder<>& builder, uint32_t offset, Value* lanes) {
  Type* element = lanes->getType()->getScalarType();
  builder.CreateAlignedStore(lanes, side_.scratchElement(builder, offset, element, side_.firstThread),
                             llvm::Align(1));
}

Value* Whole::loadLanes(IRBuilder<>& builder, uint32_t offset, Type* element) {
  Value* address = side_.scratchElement(builder, offset, element, side_.firstThread);
  return builder.CreateAlignedLoad(lanesType(plan_, element), address, llvm::Align(1));
}

Value* Whole::loadArray(IRBuilder<>& builder, llvm::AllocaInst* array) {
  Type* element = llvm::cast<llvm::ArrayType>(array->getAllocatedType())->getElementType();
  return builder.CreateAlignedLoad(lanesType(plan_, element), array, llvm::Align(64));
}

void Whole::storeArray(IRBuilder<>& builder, llvm::AllocaInst* array, Value* lanes) {
  builder.CreateAlignedStore(lanes, array, llvm::Align(64));
}

// Slots hold nothing here; said by a store, because registers would be carried from group to group
// otherwise.
void Whole::forgetSlots(IRBuilder<>& builder) {
  const auto clear = [&](llvm::AllocaInst* slot) {
    if (!slot) return;
    Type* type = slot->getAllocatedType();
    if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type); array && !array->getElementType()->isVectorTy())
      type = lanesType(plan_, array->getElementType());
    builder.CreateAlignedStore(llvm::Constant::getNullValue(type), slot, slot->getAlign());
  };
  for (llvm::AllocaInst* slot : side_.slotArrays) clear(slot);
  for (llvm::AllocaInst* slot : side_.scalarSlots) clear(slot);
  for (llvm::AllocaInst* slot : resultValues_) clear(slot);
  for (llvm::AllocaInst* slot : resultPredicates_) clear(slot);
  clear(turns_);
}

void Whole::emitGroupDone(PHINode* group, BasicBlock* groupHead, BasicBlock* phase) {
  if (atOnce_->getNumIncomingValues() == 0) {
    atOnce_->replaceAllUsesWith(llvm::ConstantInt::getFalse(side_.context()));
    atOnce_->eraseFromParent();
  }
  IRBuilder<> builder(groupDone_);
  Value* next = builder.CreateAdd(group, builder.getInt32(1), "", true, true);
  group->addIncoming(next, groupDone_);
  BasicBlock* allDone = newBlock("groups.done");
  builder.CreateCondBr(builder.CreateICmpEQ(next, builder.getInt32(plan_.shape.count)), allDone, groupHead);
  builder.SetInsertPoint(allDone);
  if (!keepsStates()) {
    builder.CreateRetVoid();
    return;
  }
  BasicBlock* ask = newBlock("ask");
  Value* arrived = builder.CreateLoad(builder.getInt32Ty(), arrived_);
  open_->addIncoming(builder.getInt32(kernel::kGroupWaiting), allDone);
  builder.CreateCondBr(builder.CreateICmpEQ(arrived, builder.getInt32(plan_.shape.count)), phase, ask);
  builder.SetInsertPoint(ask);
  auto release = parts_.code.service("vgpu_loops_release", builder.getInt32Ty(), {builder.getPtrTy()});
  Value* more = builder.CreateCall(release, {side_.scratch});
  open_->addIncoming(builder.getInt32(0), ask);
  BasicBlock* end = newBlock("end");
  builder.CreateCondBr(builder.CreateICmpNE(more, builder.getInt32(0)), phase, end);
  builder.SetInsertPoint(end);
  builder.CreateRetVoid();
}

llvm::Function* emitWhole(const LoopsParts& parts, llvm::Function* diverged, bool& failed) {
  return Whole(parts, diverged).emit(failed);
}

}  // namespace vgpu::jit
