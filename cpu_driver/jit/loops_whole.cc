#include "cpu_driver/jit/loops_functions.h"
#include "cpu_driver/jit/loops_warp.h"

namespace vgpu::jit {
namespace {

using kernel::LoopsGroup;
using kernel::LoopsRequest;
using llvm::BasicBlock;
using llvm::IRBuilder;
using llvm::PHINode;
using llvm::Type;
using llvm::Value;

class Whole {
 public:
  Whole(const LoopsParts& parts, llvm::Function* diverged)
      : parts_(parts), plan_(parts.plan), diverged_(diverged), side_(plan_, parts.layout, parts.code) {}

  llvm::Function* emit(bool& failed) {
    llvm::LLVMContext& context = parts_.module.getContext();
    auto* type =
        llvm::FunctionType::get(Type::getVoidTy(context), {llvm::PointerType::get(context, 0)}, false);
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

 private:
  BasicBlock* newBlock(const char* name) { return BasicBlock::Create(side_.context(), name, side_.function); }

  // Without rendezvous and missing lanes, groups need no state at all.
  bool keepsStates() const { return plan_.rendezvous || plan_.takesTurns(); }

  llvm::AllocaInst* array(IRBuilder<>& builder, Type* element) {
    auto* alloca = builder.CreateAlloca(llvm::ArrayType::get(element, plan_.shape.size));
    alloca->setAlignment(llvm::Align(64));
    return alloca;
  }

  void makeSlots(IRBuilder<>& builder) {
    for (const llvm::Instruction* slot : plan_.slots) {
      Type* type = memoryType(slot->getType());
      const bool scalar = plan_.isScalar(slot);
      side_.slotArrays.push_back(scalar ? nullptr : array(builder, type));
      side_.scalarSlots.push_back(scalar ? builder.CreateAlloca(type) : nullptr);
    }
    turns_ = builder.CreateAlloca(builder.getInt32Ty());
    for (const Point& point : plan_.points) {
      const bool gives = point.call && !point.call->getType()->isVoidTy();
      const bool pair = gives && point.call->getType()->isStructTy();
      resultValues_.push_back(gives ? array(builder, builder.getInt32Ty()) : nullptr);
      resultPredicates_.push_back(pair ? array(builder, builder.getInt8Ty()) : nullptr);
      heads_.push_back(newBlock("whole"));
    }
  }

  void initialise(IRBuilder<>& builder) {
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

  Value* groupField(IRBuilder<>& builder, Value* group, size_t field) {
    Value* bytes = builder.CreateMul(builder.CreateZExt(group, builder.getInt64Ty()),
                                     builder.getInt64(sizeof(LoopsGroup)));
    Value* record =
        builder.CreateInBoundsGEP(builder.getInt8Ty(), side_.scratchAt(builder, side_.layout.groups), bytes);
    return builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), record, field);
  }

  void storeGroup(IRBuilder<>& builder, Value* group, size_t field, Value* value) {
    builder.CreateStore(value, groupField(builder, group, field));
  }

  void emitGroups(IRBuilder<>& builder) {
    BasicBlock *phase = newBlock("phase"), *entry = builder.GetInsertBlock();
    BasicBlock* start = newBlock("group.start");
    groupDone_ = newBlock("group.done");
    callDiverged_ = newBlock("diverged");
    builder.CreateBr(phase);
    (void)entry;
    builder.SetInsertPoint(phase);
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

  void emitStart(BasicBlock* start) {
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
    Value* there = builder.CreateICmpULT(llvm::ConstantVector::get(numbers),
                                         builder.CreateVectorSplat(shape.size, exist));
    Value* states = builder.CreateSelect(there, splat(builder, builder.getInt32(0)),
                                         splat(builder, builder.getInt32(kernel::kThreadExited)));
    storeLanes(builder, side_.layout.states, states);
    atOnce_->addIncoming(builder.getFalse(), builder.GetInsertBlock());
    builder.CreateBr(callDiverged_);
  }

  Value* splat(IRBuilder<>& builder, Value* value) {
    return builder.CreateVectorSplat(plan_.shape.size, value);
  }

  void storeLanes(IRBuilder<>& builder, uint32_t offset, Value* lanes) {
    Type* element = lanes->getType()->getScalarType();
    builder.CreateAlignedStore(lanes, side_.scratchElement(builder, offset, element, side_.firstThread),
                               llvm::Align(1));
  }

  Value* loadLanes(IRBuilder<>& builder, uint32_t offset, Type* element) {
    Value* address = side_.scratchElement(builder, offset, element, side_.firstThread);
    return builder.CreateAlignedLoad(lanesType(plan_, element), address, llvm::Align(1));
  }

  Value* loadArray(IRBuilder<>& builder, llvm::AllocaInst* array) {
    Type* element = llvm::cast<llvm::ArrayType>(array->getAllocatedType())->getElementType();
    return builder.CreateAlignedLoad(lanesType(plan_, element), array, llvm::Align(64));
  }

  void storeArray(IRBuilder<>& builder, llvm::AllocaInst* array, Value* lanes) {
    builder.CreateAlignedStore(lanes, array, llvm::Align(64));
  }

  void prepareDivergedCall() {
    IRBuilder<> builder(callDiverged_);
    atOnce_ = builder.CreatePHI(builder.getInt1Ty(), 4);
  }

  void emitDivergedResult() {
    IRBuilder<> builder(callDiverged_);
    Value* point = builder.CreateCall(diverged_, {side_.block, side_.group, atOnce_});
    forgetSlots(builder);
    llvm::SwitchInst* dispatch = builder.CreateSwitch(point, groupDone_);
    if (keepsStates()) makeResumes(dispatch);
  }

  // Slots hold nothing here; said by a store, because registers would be carried from group to group
  // otherwise.
  void forgetSlots(IRBuilder<>& builder) {
    const auto clear = [&](llvm::AllocaInst* slot) {
      if (!slot) return;
      Type* type = slot->getAllocatedType();
      if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type);
          array && !array->getElementType()->isVectorTy())
        type = lanesType(plan_, array->getElementType());
      builder.CreateAlignedStore(llvm::Constant::getNullValue(type), slot, slot->getAlign());
    };
    for (llvm::AllocaInst* slot : side_.slotArrays) clear(slot);
    for (llvm::AllocaInst* slot : side_.scalarSlots) clear(slot);
    for (llvm::AllocaInst* slot : resultValues_) clear(slot);
    for (llvm::AllocaInst* slot : resultPredicates_) clear(slot);
    clear(turns_);
  }

  // A group that comes back from scratch memory to a rendezvous' region.
  void makeResumes(llvm::SwitchInst* dispatch) {
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

  void emitResume(unsigned point) {
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

  void copyArray(IRBuilder<>& builder, unsigned slot, bool out) {
    Type* type = memoryType(plan_.slots[slot]->getType());
    const uint64_t bytes =
        parts_.module.getDataLayout().getTypeAllocSize(type).getFixedValue() * plan_.shape.size;
    Value* memory = side_.scratchElement(builder, side_.layout.slotArrays[slot], type, side_.firstThread);
    Value* array = side_.slotArrays[slot];
    builder.CreateMemCpy(out ? memory : array, llvm::Align(1), out ? array : memory, llvm::Align(1), bytes);
  }

  void loadResults(IRBuilder<>& builder, unsigned point) {
    Value* packed = loadLanes(builder, side_.layout.results, builder.getInt64Ty());
    Value* values = builder.CreateTrunc(packed, lanesType(plan_, builder.getInt32Ty()));
    Value* high = builder.CreateTrunc(builder.CreateLShr(packed, 32), lanesType(plan_, builder.getInt8Ty()));
    Value* predicates = builder.CreateAnd(high, splat(builder, builder.getInt8(1)));
    storeArray(builder, resultValues_[point], values);
    if (resultPredicates_[point]) storeArray(builder, resultPredicates_[point], predicates);
  }

  void emitPoint(unsigned point) {
    Region region(side_, point);
    region.setResultArrays(resultValues_[point], resultPredicates_[point]);
    region.emit(heads_[point]);
    if (region.refused()) emitRefused(region.refused(), point);
    std::vector<BasicBlock*> targets;
    for (unsigned key = 0; key < region.keys().size(); ++key) {
      targets.push_back(newBlock("go"));
      emitGo(targets.back(), region, key);
    }
    if (targets.size() == 1) {
      llvm::BranchInst::Create(targets[0], region.after());
    } else if (!region.keyArray()) {
      region.decide(region.after(), targets);
    } else {
      emitUndecided(region, targets);
    }
  }

  // Lanes went different ways, or all the same one.
  void emitUndecided(Region& region, const std::vector<BasicBlock*>& targets) {
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
    std::vector<unsigned> all;
    for (unsigned key = 0; key < targets.size(); ++key) all.push_back(key);
    emitDiverge(builder, region, all, keys);
  }

  // One way for all lanes.
  void emitGo(BasicBlock* block, Region& region, unsigned key) {
    IRBuilder<> builder(block);
    const RegionKey& way = region.keys()[key];
    if (way.target < 0) {
      if (keepsStates())
        storeGroup(builder, side_.group, offsetof(LoopsGroup, state),
                   builder.getInt32(kernel::kGroupFinished));
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
  void emitTogetherMatrix(IRBuilder<>& builder, Region& region, unsigned target) {
    Value* operation = plan_.points[target].call->getArgOperand(0);
    auto service = parts_.code.service("vgpu_loops_matrix", builder.getVoidTy(),
                                       {builder.getInt64Ty(), builder.getPtrTy()});
    builder.CreateCall(service, {operation, region.operandArray(target, 1)});
    builder.CreateBr(heads_[target]);
  }

  static bool constantMode(const Point& point) {
    return point.call->arg_size() < 2 || llvm::isa<llvm::ConstantInt>(point.call->getArgOperand(0));
  }

  void storeScalarPhis(IRBuilder<>& builder, Region& region, unsigned key) {
    const RegionKey& way = region.keys()[key];
    for (const PHINode& phi : plan_.points[static_cast<unsigned>(way.target)].block->phis()) {
      const auto slot = plan_.slotOf.find(&phi);
      if (slot == plan_.slotOf.end() || !side_.scalarSlots[slot->second]) continue;
      storeSlotValue(builder, region.scalar(phi.getIncomingValueForBlock(way.from)),
                     side_.scalarSlots[slot->second]);
    }
  }

  // Every so many turns of the loop the other groups of the block have theirs.
  void emitTurn(IRBuilder<>& builder, unsigned target) {
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

  void keepForLater(IRBuilder<>& builder, unsigned target) {
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

  void waitAtBarrier(IRBuilder<>& builder, Region& region, unsigned target) {
    const Point& point = plan_.points[target];
    keepForLater(builder, target);
    storeGroup(builder, side_.group, offsetof(LoopsGroup, barrier),
               region.scalar(point.call->getArgOperand(0)));
    storeGroup(builder, side_.group, offsetof(LoopsGroup, count),
               region.scalar(point.call->getArgOperand(1)));
    storeGroup(builder, side_.group, offsetof(LoopsGroup, state),
               builder.getInt32(target | kernel::kGroupWaiting));
    builder.CreateBr(groupDone_);
  }

  Value* operandOf(IRBuilder<>& builder, Region& region, unsigned target, unsigned argument) {
    Value* value = plan_.points[target].call->getArgOperand(argument);
    if (plan_.isScalar(value)) return region.scalar(value);
    return loadArray(builder, region.operandArray(target, argument));
  }

  void emitTogetherOperation(IRBuilder<>& builder, Region& region, unsigned key, unsigned target) {
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

  // Hands the group to the other function: all that lives on goes to scratch memory, thread by thread. `keys`
  // names the ways that lanes took, `lanes` each lane's way; null: all took the one in `ways`.
  void emitDiverge(IRBuilder<>& builder, Region& region, const std::vector<unsigned>& ways, Value* lanes) {
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

  void saveSlots(IRBuilder<>& builder, const llvm::BitVector& live) {
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

  void saveScalarPhis(IRBuilder<>& builder, Region& region, const RegionKey& way, Value* mine) {
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
  void saveRequests(IRBuilder<>& builder, Region& region, unsigned target, Value* mine) {
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
    const auto set = [&](size_t field, Value* value) {
      Type* type = field == offsetof(LoopsRequest, value) ? builder.getInt64Ty() : builder.getInt32Ty();
      builder.CreateStore(builder.CreateZExtOrTrunc(value, type), side_.requestField(builder, thread, field));
    };
    storeRequest(point.operation, set, argument, builder);
    builder.CreateBr(next);
    builder.SetInsertPoint(next);
    Value* following = builder.CreateAdd(lane, builder.getInt64(1));
    lane->addIncoming(following, next);
    builder.CreateCondBr(builder.CreateICmpEQ(following, builder.getInt64(plan_.shape.size)), done, loop);
    builder.SetInsertPoint(done);
  }

  template <class Set, class Argument>
  static void storeRequest(Marker operation, Set set, Argument argument, IRBuilder<>& builder) {
    using kernel::LoopsWait;
    const auto wait = [&](LoopsWait what) {
      set(offsetof(LoopsRequest, wait), builder.getInt32(uint32_t(what)));
    };
    const auto mode = [&](Value* value) { set(offsetof(LoopsRequest, mode), value); };
    const auto mask = [&](Value* value) { set(offsetof(LoopsRequest, mask), value); };
    const auto value = [&](Value* what) { set(offsetof(LoopsRequest, value), what); };
    const auto b = [&](Value* what) { set(offsetof(LoopsRequest, b), what); };
    const auto c = [&](Value* what) { set(offsetof(LoopsRequest, c), what); };
    Value* zero = builder.getInt32(0);
    switch (operation) {
      case Marker::Barrier:
        wait(LoopsWait::Barrier), mode(zero), value(builder.getInt64(0)), b(argument(0)), c(argument(1));
        break;
      case Marker::BarrierReduce:
        wait(LoopsWait::Reduce), mode(argument(0)), b(argument(1)), c(argument(2)), value(argument(3));
        break;
      case Marker::WarpSync:
        wait(LoopsWait::Sync), mode(zero), mask(argument(0));
        break;
      case Marker::Shuffle:
        wait(LoopsWait::Shuffle), mode(argument(0)), mask(argument(1)), value(argument(2)), b(argument(3)),
            c(argument(4));
        break;
      case Marker::Vote:
        wait(LoopsWait::Vote), mode(argument(0)), mask(argument(1)), value(argument(2));
        break;
      case Marker::Redux:
        wait(LoopsWait::Redux), mode(argument(0)), mask(argument(1)), value(argument(2));
        break;
      case Marker::MatchAny:
        wait(LoopsWait::MatchAny), mode(zero), mask(argument(0)), value(argument(1));
        break;
      case Marker::MatchAll:
        wait(LoopsWait::MatchAll), mode(zero), mask(argument(0)), value(argument(1));
        break;
      case Marker::Matrix:
        wait(LoopsWait::Matrix), mode(zero), mask(builder.getInt32(~0u)), b(argument(0));
        c(builder.CreateLShr(argument(0), 32));
        value(builder.CreatePtrToInt(argument(1), builder.getInt64Ty()));
        break;
      default:
        wait(LoopsWait::ActiveMask);
        break;
    }
  }

  // A guard of the region failed: all lanes are at its start, with the results of its rendezvous.
  void emitRefused(BasicBlock* block, unsigned point) {
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

  void emitGroupDone(PHINode* group, BasicBlock* groupHead, BasicBlock* phase) {
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
    auto release = parts_.code.service("vgpu_loops_release", builder.getInt32Ty(), {builder.getPtrTy()});
    Value* more = builder.CreateCall(release, {side_.scratch});
    BasicBlock* end = newBlock("end");
    builder.CreateCondBr(builder.CreateICmpNE(more, builder.getInt32(0)), phase, end);
    builder.SetInsertPoint(end);
    builder.CreateRetVoid();
  }

  static constexpr uint32_t kStart = 0x3fff'ffff;  // the group has not begun

  const LoopsParts& parts_;
  const Plan& plan_;
  llvm::Function* diverged_;
  Side side_;
  std::vector<llvm::AllocaInst*> resultValues_, resultPredicates_;
  std::vector<BasicBlock*> heads_, resumes_;
  BasicBlock *groupDone_ = nullptr, *callDiverged_ = nullptr;
  llvm::AllocaInst* turns_ = nullptr;
  PHINode* atOnce_ = nullptr;
};

}  // namespace

llvm::Function* emitWhole(const LoopsParts& parts, llvm::Function* diverged, bool& failed) {
  return Whole(parts, diverged).emit(failed);
}

}  // namespace vgpu::jit
