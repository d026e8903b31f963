#include "cpu_driver/jit/loops_region.h"

#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/IR/IntrinsicInst.h>

#include <algorithm>
#include <functional>
#include <set>

namespace vgpu::jit {

using kernel::LoopsRequest;
using llvm::BasicBlock;
using llvm::Instruction;
using llvm::IRBuilder;
using llvm::PHINode;
using llvm::Type;
using llvm::Value;

Value* Side::scratchAt(IRBuilder<>& builder, uint32_t offset) const {
  return builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), scratch, offset);
}

Value* Side::scratchElement(IRBuilder<>& builder, uint32_t offset, Type* type, Value* index) const {
  return builder.CreateInBoundsGEP(type, scratchAt(builder, offset), index);
}

Value* Side::requestField(IRBuilder<>& builder, Value* thread, size_t fieldOffset) const {
  Value* bytes = builder.CreateMul(thread, builder.getInt64(sizeof(LoopsRequest)));
  Value* request = builder.CreateInBoundsGEP(builder.getInt8Ty(), scratchAt(builder, layout.requests), bytes);
  return builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), request, fieldOffset);
}

Value* loadSlotValue(IRBuilder<>& builder, Type* type, Value* address) {
  if (!type->isIntegerTy(1)) return builder.CreateLoad(type, address);
  return builder.CreateTrunc(builder.CreateLoad(builder.getInt8Ty(), address), type);
}

void storeSlotValue(IRBuilder<>& builder, Value* value, Value* address) {
  if (value->getType()->isIntegerTy(1)) value = builder.CreateZExt(value, builder.getInt8Ty());
  builder.CreateStore(value, address);
}

void markLaneLoop(Instruction* latchBranch, llvm::MDNode* accessGroup, uint32_t width) {
  llvm::LLVMContext& context = latchBranch->getContext();
  const auto text = [&](const char* name) { return llvm::MDString::get(context, name); };
  const auto number = [&](uint32_t value) {
    return llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(Type::getInt32Ty(context), value));
  };
  const auto flag = [&](bool value) {
    return llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(Type::getInt1Ty(context), value));
  };
  std::vector<llvm::Metadata*> operands{nullptr};
  operands.push_back(llvm::MDNode::get(context, {text("llvm.loop.parallel_accesses"), accessGroup}));
  if (width > 1) {
    operands.push_back(llvm::MDNode::get(context, {text("llvm.loop.vectorize.enable"), flag(true)}));
    operands.push_back(llvm::MDNode::get(context, {text("llvm.loop.vectorize.width"), number(width)}));
    operands.push_back(llvm::MDNode::get(context, {text("llvm.loop.interleave.count"), number(1)}));
  } else {
    operands.push_back(llvm::MDNode::get(context, {text("llvm.loop.vectorize.enable"), flag(false)}));
  }
  // Unrolled before the vectoriser sees it, the loop would stay scalar.
  operands.push_back(llvm::MDNode::get(context, {text("llvm.loop.unroll.disable")}));
  llvm::MDNode* loop = llvm::MDNode::getDistinct(context, operands);
  loop->replaceOperandWith(0, loop);
  latchBranch->setMetadata(llvm::LLVMContext::MD_loop, loop);
}

Region::Region(Side& side, unsigned point)
    : side_(side), plan_(side.plan), point_(point), scalarCode_(side.context()), laneCode_(side.context()) {}

BasicBlock* Region::newBlock(const char* name) {
  return BasicBlock::Create(side_.context(), name, side_.function);
}

void Region::emit(BasicBlock* head) {
  head_ = head;
  laneHead_ = newBlock("lane");
  laneEntry_ = newBlock("lane.entry");
  latch_ = newBlock("lane.latch");
  after_ = newBlock("lanes.done");
  scalarCode_.SetInsertPoint(llvm::BranchInst::Create(laneHead_, head_));

  IRBuilder<> top(laneHead_);
  lane_ = top.CreatePHI(top.getInt64Ty(), 2, "lane");
  lane_->addIncoming(top.getInt64(0), head_);
  lane32_ = top.CreateTrunc(lane_, top.getInt32Ty());
  thread_ = top.CreateAdd(side_.firstThread, lane_, "thread", true, true);
  if (side_.whole) {
    top.CreateBr(laneEntry_);
  } else {
    Value* state = top.CreateLoad(top.getInt32Ty(),
                                  side_.scratchElement(top, side_.layout.states, top.getInt32Ty(), thread_));
    top.CreateCondBr(top.CreateICmpEQ(state, top.getInt32(point_)), laneEntry_, latch_);
  }
  collectBlocks();
  for (BasicBlock* block : blocks_) clones_[block] = newBlock("part");
  laneCode_.SetInsertPoint(llvm::BranchInst::Create(clones_[blocks_.front()], laneEntry_));
  makeEdges();
  assignKeys();
  cloneBlocks();
  finishPhis();
  IRBuilder<> latch(latch_);
  side_.whole ? storeWhole(latch) : storeDiverged();
  closeLoop(latch);
}

void Region::collectBlocks() {
  std::set<BasicBlock*> seen;
  std::function<void(BasicBlock*)> visit = [&](BasicBlock* block) {
    if (!seen.insert(block).second) return;
    for (BasicBlock* successor : llvm::successors(block)) {
      if (!plan_.isPoint(successor)) visit(successor);
    }
    blocks_.push_back(block);
  };
  visit(plan_.points[point_].block);
  std::reverse(blocks_.begin(), blocks_.end());
}

void Region::makeEdges() {
  for (BasicBlock* block : blocks_) {
    const Instruction* end = block->getTerminator();
    if (end->getNumSuccessors() == 0) edges_.push_back({block, -1, newBlock("leave"), 0});
    for (BasicBlock* successor : llvm::successors(block)) {
      if (!plan_.isPoint(successor)) continue;
      const auto target = static_cast<int>(plan_.pointOf.lookup(successor));
      const bool known = std::any_of(edges_.begin(), edges_.end(), [&](const RegionEdge& edge) {
        return edge.from == block && edge.target == target;
      });
      if (!known) edges_.push_back({block, target, newBlock("leave"), 0});
    }
  }
}

void Region::assignKeys() {
  for (RegionEdge& edge : edges_) {
    const auto same = [&](const RegionKey& key) {
      if (key.target != edge.target) return false;
      if (edge.target < 0 || !side_.whole) return true;
      for (const PHINode& phi : plan_.points[static_cast<unsigned>(edge.target)].block->phis()) {
        if (plan_.isScalar(&phi) &&
            phi.getIncomingValueForBlock(key.from) != phi.getIncomingValueForBlock(edge.from))
          return false;
      }
      return true;
    };
    const auto found = std::find_if(keys_.begin(), keys_.end(), same);
    edge.key = static_cast<unsigned>(found - keys_.begin());
    if (found == keys_.end()) keys_.push_back({edge.target, edge.from});
  }
}

// Which keys can be reached from each block of the region.
unsigned Region::exitsFrom(const BasicBlock* block,
                           llvm::DenseMap<const BasicBlock*, std::vector<unsigned>>& memo) const {
  if (const auto found = memo.find(block); found != memo.end())
    return static_cast<unsigned>(found->second.size());
  std::set<unsigned> keys;
  for (const RegionEdge& edge : edges_) {
    if (edge.from == block) keys.insert(edge.key);
  }
  for (const BasicBlock* successor : llvm::successors(block)) {
    if (plan_.isPoint(successor)) continue;
    exitsFrom(successor, memo);
    const auto& below = memo[successor];
    keys.insert(below.begin(), below.end());
  }
  memo[block].assign(keys.begin(), keys.end());
  return static_cast<unsigned>(keys.size());
}

bool Region::decidable() const {
  llvm::DenseMap<const BasicBlock*, std::vector<unsigned>> memo;
  for (const BasicBlock* block : blocks_) {
    if (exitsFrom(block, memo) <= 1) continue;
    const auto* branch = llvm::dyn_cast<llvm::BranchInst>(block->getTerminator());
    if (!branch) return false;
    if (branch->isConditional() && !plan_.isScalar(branch->getCondition())) return false;
  }
  return true;
}

void Region::decide(BasicBlock* at, const std::vector<BasicBlock*>& targets) {
  llvm::DenseMap<const BasicBlock*, std::vector<unsigned>> memo;
  llvm::DenseMap<const BasicBlock*, BasicBlock*> made;
  std::function<BasicBlock*(const BasicBlock*)> decision = [&](const BasicBlock* block) -> BasicBlock* {
    exitsFrom(block, memo);
    if (memo[block].size() == 1) return targets[memo[block][0]];
    BasicBlock*& mine = made[block];
    if (mine) return mine;
    mine = newBlock("decide");
    BasicBlock* const here = mine;
    const auto* branch = llvm::cast<llvm::BranchInst>(block->getTerminator());
    std::vector<BasicBlock*> ways;
    for (const BasicBlock* successor : llvm::successors(block)) {
      if (!plan_.isPoint(successor)) {
        ways.push_back(decision(successor));
        continue;
      }
      const auto target = static_cast<int>(plan_.pointOf.lookup(successor));
      for (const RegionEdge& edge : edges_) {
        if (edge.from == block && edge.target == target) ways.push_back(targets[edge.key]);
      }
    }
    if (branch->isConditional()) {
      llvm::BranchInst::Create(ways[0], ways[1], scalar(branch->getCondition()), here);
    } else {
      llvm::BranchInst::Create(ways[0], here);
    }
    return here;
  };
  llvm::BranchInst::Create(decision(blocks_.front()), at);
}

void Region::cloneBlocks() {
  for (BasicBlock* block : blocks_) {
    IRBuilder<> builder(clones_[block]);
    for (Instruction& instruction : *block) {
      if (instruction.isTerminator()) break;
      if (plan_.isScalar(&instruction) || plan_.recomputed.count(&instruction) != 0) continue;
      const bool atPoint = plan_.isPoint(block) && llvm::isa<PHINode>(instruction);
      if (!atPoint) cloneInstruction(instruction, builder);
    }
    const auto follow = [&](const BasicBlock* successor) -> BasicBlock* {
      if (!plan_.isPoint(successor)) return clones_[successor];
      const auto target = static_cast<int>(plan_.pointOf.lookup(successor));
      for (const RegionEdge& edge : edges_) {
        if (edge.from == block && edge.target == target) return edge.block;
      }
      return latch_;
    };
    const Instruction* end = block->getTerminator();
    if (const auto* branch = llvm::dyn_cast<llvm::BranchInst>(end); branch && branch->isConditional()) {
      BasicBlock *yes = follow(branch->getSuccessor(0)), *no = follow(branch->getSuccessor(1));
      if (yes == no) {
        builder.CreateBr(yes);
      } else {
        builder.CreateCondBr(use(branch->getCondition()), yes, no);
      }
    } else if (end->getNumSuccessors() == 1) {
      builder.CreateBr(follow(end->getSuccessor(0)));
    } else {
      for (const RegionEdge& edge : edges_) {
        if (edge.from == block && edge.target < 0) builder.CreateBr(edge.block);
      }
      if (end->getNumSuccessors() != 0) side_.failed = true;
    }
  }
}

void Region::cloneInstruction(Instruction& instruction, IRBuilder<>& builder) {
  if (llvm::isa<llvm::DbgInfoIntrinsic>(instruction)) return;
  if (auto* phi = llvm::dyn_cast<PHINode>(&instruction)) {
    local_[phi] = builder.CreatePHI(phi->getType(), phi->getNumIncomingValues());
    return;
  }
  auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
  const Marker which = calledMarker(instruction);
  if (suspends(which)) {
    if (!call->getType()->isVoidTy()) local_[call] = result(*call);
    return;
  }
  Instruction* copy = instruction.clone();
  copy->setMetadata(llvm::LLVMContext::MD_dbg, nullptr);
  for (llvm::Use& operand : copy->operands()) {
    if (!llvm::isa<llvm::Constant>(operand.get()) && !llvm::isa<llvm::MetadataAsValue>(operand.get()))
      operand.set(use(operand.get()));
  }
  builder.Insert(copy);
  if (which == Marker::Count) {
    local_[&instruction] = copy;
    return;
  }
  IRBuilder<> before(copy);
  Value* value = which == Marker::Exit
                     ? nullptr
                     : side_.code.value(before, *llvm::cast<llvm::CallInst>(copy), threadValues(before));
  if (!instruction.getType()->isVoidTy()) local_[&instruction] = value;
  copy->eraseFromParent();
}

// What the rendezvous at the region's start gave this lane.
Value* Region::result(llvm::CallInst& call) {
  IRBuilder<>& builder = laneCode_;
  Value *low = nullptr, *high = nullptr;
  if (side_.whole) {
    if (!resultValues_) return llvm::PoisonValue::get(call.getType());
    low = builder.CreateLoad(builder.getInt32Ty(),
                             builder.CreateInBoundsGEP(builder.getInt32Ty(), resultValues_, lane_));
    if (resultPredicates_)
      high = loadSlotValue(builder, builder.getInt1Ty(),
                           builder.CreateInBoundsGEP(builder.getInt8Ty(), resultPredicates_, lane_));
  } else {
    Type* i64 = builder.getInt64Ty();
    Value* packed =
        builder.CreateLoad(i64, side_.scratchElement(builder, side_.layout.results, i64, thread_));
    low = builder.CreateTrunc(packed, builder.getInt32Ty());
    high = builder.CreateTrunc(builder.CreateLShr(packed, 32), builder.getInt1Ty());
  }
  if (!call.getType()->isStructTy()) return low;
  Value* pair = builder.CreateInsertValue(llvm::PoisonValue::get(call.getType()), low, 0);
  return builder.CreateInsertValue(pair, high, 1);
}

void Region::finishPhis() {
  for (BasicBlock* block : blocks_) {
    if (plan_.isPoint(block)) continue;
    for (PHINode& phi : block->phis()) {
      if (plan_.isScalar(&phi) || plan_.recomputed.count(&phi) != 0) continue;
      auto* copy = llvm::cast<PHINode>(local_[&phi]);
      for (unsigned i = 0; i < phi.getNumIncomingValues(); ++i) {
        BasicBlock* from = phi.getIncomingBlock(i);
        if (clones_.count(from) != 0) copy->addIncoming(use(phi.getIncomingValue(i)), clones_[from]);
      }
    }
  }
}

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
  const bool warps =
      plan_.shape.size == kernel::kWarpSize && (!plan_.shape.rows || plan_.block.x % kernel::kWarpSize == 0);
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

Value* Region::recompute(const Instruction& instruction) {
  if (const auto found = recomputed_.find(&instruction); found != recomputed_.end()) return found->second;
  Value* made = nullptr;
  if (const auto* cast = llvm::dyn_cast<llvm::CastInst>(&instruction); cast && side_.whole)
    made = extendAffine(*cast);
  if (llvm::isa<llvm::AllocaInst>(instruction)) {
    Value* mine = laneCode_.CreateMul(thread_, laneCode_.getInt64(plan_.localBytes));
    Value* base = side_.scratchAt(laneCode_, side_.layout.locals + plan_.localOffset.lookup(&instruction));
    made = laneCode_.CreateInBoundsGEP(laneCode_.getInt8Ty(), base, mine);
  } else if (!made) {
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

// A 32-bit value as uniform + lane * perLane.
std::optional<Region::Affine> Region::affine(const Value* value) {
  if (plan_.isScalar(value)) return Affine{scalar(value), 0, false};
  const auto* instruction = llvm::dyn_cast<Instruction>(value);
  if (!instruction || plan_.recomputed.count(value) == 0) return std::nullopt;
  if (calledMarker(*instruction) == Marker::TidX && plan_.shape.rows) return Affine{side_.firstX, 1, true};
  const auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(instruction);
  if (!binary) return std::nullopt;
  const auto opcode = binary->getOpcode();
  const auto* disjoint = llvm::dyn_cast<llvm::PossiblyDisjointInst>(binary);
  const bool adds = opcode == Instruction::Add || (disjoint && disjoint->isDisjoint());
  const auto* factor = llvm::dyn_cast<llvm::ConstantInt>(binary->getOperand(1));
  IRBuilder<>& code = scalarCode_;
  if (adds || opcode == Instruction::Sub) {
    const auto left = affine(binary->getOperand(0)), right = affine(binary->getOperand(1));
    if (!left || !right) return std::nullopt;
    Value* uniform =
        adds ? code.CreateAdd(left->uniform, right->uniform) : code.CreateSub(left->uniform, right->uniform);
    return Affine{uniform, adds ? left->perLane + right->perLane : left->perLane - right->perLane, false};
  }
  if (!factor || (opcode != Instruction::Mul && opcode != Instruction::Shl)) return std::nullopt;
  const auto left = affine(binary->getOperand(0));
  const int64_t by = opcode == Instruction::Mul
                         ? factor->getSExtValue()
                         : int64_t{1} << std::min<uint64_t>(factor->getZExtValue(), 31);
  if (!left || std::abs(left->perLane * by) > (1 << 20)) return std::nullopt;
  return Affine{code.CreateMul(left->uniform, code.getInt32(static_cast<uint32_t>(by))), left->perLane * by,
                false};
}

// sext or zext to 64 bits of an affine value, kept affine: right unless the 32-bit value wraps around within
// the group, which a guard finds; the group runs as a diverged one then.
Value* Region::extendAffine(const llvm::CastInst& cast) {
  const bool isSigned = cast.getOpcode() == Instruction::SExt;
  if (!isSigned && cast.getOpcode() != Instruction::ZExt) return nullptr;
  if (!cast.getType()->isIntegerTy(64) || !cast.getSrcTy()->isIntegerTy(32)) return nullptr;
  const auto form = affine(cast.getOperand(0));
  if (!form) return nullptr;
  IRBuilder<>& code = scalarCode_;
  Type* i64 = code.getInt64Ty();
  Value* wide = isSigned ? code.CreateSExt(form->uniform, i64) : code.CreateZExt(form->uniform, i64);
  if (!form->bounded && form->perLane != 0) {
    Value* last =
        code.CreateAdd(wide, code.getInt64(static_cast<uint64_t>(form->perLane * (plan_.shape.size - 1))));
    Value* narrow = code.CreateTrunc(last, code.getInt32Ty());
    Value* same =
        code.CreateICmpEQ(isSigned ? code.CreateSExt(narrow, i64) : code.CreateZExt(narrow, i64), last);
    guard_ = guard_ ? code.CreateAnd(guard_, same) : same;
  }
  Value* step =
      laneCode_.CreateMul(lane_, laneCode_.getInt64(static_cast<uint64_t>(form->perLane)), "", false, true);
  return laneCode_.CreateAdd(wide, step, "", false, true);
}

llvm::AllocaInst* Region::operandArray(unsigned point, unsigned argument) const {
  for (const auto& [which, array] : operandArrays_) {
    if (which == std::pair(point, argument)) return array;
  }
  return nullptr;
}

namespace {

llvm::AllocaInst* entryAlloca(llvm::Function* function, Type* element, uint32_t count) {
  IRBuilder<> builder(&*function->getEntryBlock().getFirstInsertionPt());
  auto* alloca = builder.CreateAlloca(llvm::ArrayType::get(element, count));
  alloca->setAlignment(llvm::Align(64));
  return alloca;
}

}  // namespace

// Everything that lives on is stored at the latch, unconditionally, so that arrays of slots stay vector
// registers.
void Region::storeWhole(IRBuilder<>& latch) {
  const auto merged = [&](Type* type, Value* otherwise,
                          const std::function<Value*(const RegionEdge&)>& of) -> Value* {
    if (edges_.size() == 1) return of(edges_[0]);
    PHINode* phi = latch.CreatePHI(type, static_cast<unsigned>(edges_.size()));
    for (const RegionEdge& edge : edges_) {
      Value* value = of(edge);
      phi->addIncoming(value ? value : otherwise, edge.block);
    }
    return phi;
  };
  std::vector<std::pair<Value*, Value*>> stores;  // value, array
  for (unsigned slot = 0; slot < plan_.slots.size(); ++slot) {
    const Instruction* value = plan_.slots[slot];
    if (plan_.isScalar(value)) continue;
    const auto of = [&](const RegionEdge& edge) -> Value* {
      if (edge.target < 0) return nullptr;
      const auto target = static_cast<unsigned>(edge.target);
      if (!plan_.liveAt[target].test(slot)) return nullptr;
      const auto* phi = llvm::dyn_cast<PHINode>(value);
      if (phi && phi->getParent() == plan_.points[target].block) return incoming(*phi, edge);
      const auto local = local_.find(value);
      return local == local_.end() ? nullptr : local->second;
    };
    if (std::none_of(edges_.begin(), edges_.end(),
                     [&](const RegionEdge& edge) { return of(edge) != nullptr; }))
      continue;
    const bool always = std::all_of(edges_.begin(), edges_.end(),
                                    [&](const RegionEdge& edge) { return of(edge) != nullptr; });
    Value* otherwise = always ? nullptr : slotLoad(value);
    stores.emplace_back(merged(value->getType(), otherwise, of), side_.slotArrays[slot]);
  }
  std::set<unsigned> targets;
  for (const RegionEdge& edge : edges_) {
    if (edge.target >= 0) targets.insert(static_cast<unsigned>(edge.target));
  }
  for (const unsigned target : targets) {
    const Point& point = plan_.points[target];
    if (!point.call) continue;
    for (unsigned i = 0; i < point.call->arg_size(); ++i) {
      Value* argument = point.call->getArgOperand(i);
      if (plan_.isScalar(argument)) continue;
      auto* array = entryAlloca(side_.function, memoryType(argument->getType()), plan_.shape.size);
      operandArrays_.push_back({{target, i}, array});
      const auto of = [&](const RegionEdge& edge) -> Value* {
        return edge.target == static_cast<int>(target) ? use(argument) : nullptr;
      };
      stores.emplace_back(merged(argument->getType(), llvm::PoisonValue::get(argument->getType()), of),
                          array);
    }
  }
  if (keys_.size() > 1 && !decidable()) {
    keyArray_ = entryAlloca(side_.function, latch.getInt8Ty(), plan_.shape.size);
    stores.emplace_back(
        merged(latch.getInt8Ty(), nullptr,
               [&](const RegionEdge& edge) { return latch.getInt8(static_cast<uint8_t>(edge.key)); }),
        keyArray_);
  }
  for (const RegionEdge& edge : edges_) llvm::BranchInst::Create(latch_, edge.block);
  for (const auto& [value, array] : stores)
    storeSlotValue(latch, value, latch.CreateInBoundsGEP(memoryType(value->getType()), array, lane_));
}

void Region::storeDiverged() {
  for (const RegionEdge& edge : edges_) {
    IRBuilder<> builder(edge.block);
    uint32_t state = kernel::kThreadExited;
    if (edge.target >= 0) {
      const auto target = static_cast<unsigned>(edge.target);
      const Point& point = plan_.points[target];
      state = target | (point.call ? kernel::kThreadWaiting : 0);
      std::vector<std::pair<Value*, unsigned>> stores;
      for (unsigned slot = 0; slot < plan_.slots.size(); ++slot) {
        if (!plan_.liveAt[target].test(slot)) continue;
        const auto* phi = llvm::dyn_cast<PHINode>(plan_.slots[slot]);
        if (phi && phi->getParent() == point.block) {
          stores.emplace_back(incoming(*phi, edge), slot);
        } else if (const auto local = local_.find(plan_.slots[slot]);
                   local != local_.end() && local->second) {
          stores.emplace_back(local->second, slot);
        }
      }
      for (const auto& [value, slot] : stores)
        storeSlotValue(builder, value,
                       side_.scratchElement(builder, side_.layout.slotArrays[slot],
                                            memoryType(value->getType()), thread_));
      if (point.call) {
        const auto set = [&](size_t field, Value* value) {
          builder.CreateStore(value, side_.requestField(builder, thread_, field));
        };
        std::vector<Value*> arguments;
        for (Value* argument : point.call->args()) arguments.push_back(use(argument));
        const auto wide = [&](Value* value) { return builder.CreateZExt(value, builder.getInt64Ty()); };
        using kernel::LoopsWait;
        const auto wait = [&](LoopsWait what) {
          set(offsetof(LoopsRequest, wait), builder.getInt32(uint32_t(what)));
        };
        switch (point.operation) {
          case Marker::Barrier:
            wait(LoopsWait::Barrier);
            set(offsetof(LoopsRequest, b), arguments[0]);
            set(offsetof(LoopsRequest, c), arguments[1]);
            set(offsetof(LoopsRequest, value), builder.getInt64(0));
            set(offsetof(LoopsRequest, mode), builder.getInt32(0));
            break;
          case Marker::BarrierReduce:
            wait(LoopsWait::Reduce);
            set(offsetof(LoopsRequest, mode), arguments[0]);
            set(offsetof(LoopsRequest, b), arguments[1]);
            set(offsetof(LoopsRequest, c), arguments[2]);
            set(offsetof(LoopsRequest, value), wide(arguments[3]));
            break;
          case Marker::WarpSync:
            wait(LoopsWait::Sync);
            set(offsetof(LoopsRequest, mode), builder.getInt32(0));
            set(offsetof(LoopsRequest, mask), arguments[0]);
            break;
          case Marker::Shuffle:
            wait(LoopsWait::Shuffle);
            set(offsetof(LoopsRequest, mode), arguments[0]);
            set(offsetof(LoopsRequest, mask), arguments[1]);
            set(offsetof(LoopsRequest, value), wide(arguments[2]));
            set(offsetof(LoopsRequest, b), arguments[3]);
            set(offsetof(LoopsRequest, c), arguments[4]);
            break;
          case Marker::Vote:
          case Marker::Redux:
            wait(point.operation == Marker::Vote ? LoopsWait::Vote : LoopsWait::Redux);
            set(offsetof(LoopsRequest, mode), arguments[0]);
            set(offsetof(LoopsRequest, mask), arguments[1]);
            set(offsetof(LoopsRequest, value), wide(arguments[2]));
            break;
          case Marker::MatchAny:
          case Marker::MatchAll:
            wait(point.operation == Marker::MatchAny ? LoopsWait::MatchAny : LoopsWait::MatchAll);
            set(offsetof(LoopsRequest, mode), builder.getInt32(0));
            set(offsetof(LoopsRequest, mask), arguments[0]);
            set(offsetof(LoopsRequest, value), arguments[1]);
            break;
          case Marker::Matrix:
            wait(LoopsWait::Matrix);
            set(offsetof(LoopsRequest, mode), builder.getInt32(0));
            set(offsetof(LoopsRequest, mask), builder.getInt32(~0u));
            set(offsetof(LoopsRequest, value), builder.CreatePtrToInt(arguments[1], builder.getInt64Ty()));
            set(offsetof(LoopsRequest, b), builder.CreateTrunc(arguments[0], builder.getInt32Ty()));
            set(offsetof(LoopsRequest, c),
                builder.CreateTrunc(builder.CreateLShr(arguments[0], 32), builder.getInt32Ty()));
            break;
          default:
            wait(LoopsWait::ActiveMask);
            break;
        }
      }
    }
    builder.CreateStore(builder.getInt32(state),
                        side_.scratchElement(builder, side_.layout.states, builder.getInt32Ty(), thread_));
    builder.CreateBr(latch_);
  }
}

void Region::closeLoop(IRBuilder<>& latch) {
  Value* next = latch.CreateAdd(lane_, latch.getInt64(1), "", true, true);
  lane_->addIncoming(next, latch_);
  auto* branch =
      latch.CreateCondBr(latch.CreateICmpEQ(next, latch.getInt64(plan_.shape.size)), after_, laneHead_);
  std::vector<BasicBlock*> body{laneHead_, laneEntry_, latch_};
  for (BasicBlock* block : blocks_) body.push_back(clones_[block]);
  for (const RegionEdge& edge : edges_) body.push_back(edge.block);
  for (BasicBlock* block : body) {
    for (Instruction& instruction : *block) {
      if (instruction.mayReadOrWriteMemory())
        instruction.setMetadata(llvm::LLVMContext::MD_access_group, side_.accessGroup);
    }
  }
  const bool selfLoop = std::any_of(edges_.begin(), edges_.end(), [&](const RegionEdge& edge) {
    return edge.target == static_cast<int>(point_);
  });
  markLaneLoop(branch, side_.accessGroup, side_.whole || selfLoop ? plan_.shape.vectorWidth : 1);
  if (!guard_) return;
  refused_ = newBlock("refused");
  Instruction* end = head_->getTerminator();
  llvm::BranchInst::Create(laneHead_, refused_, guard_, end->getIterator());
  end->eraseFromParent();
  scalarCode_.SetInsertPoint(head_->getTerminator());
}

}  // namespace vgpu::jit
