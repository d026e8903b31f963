#include "cpu_driver/jit/loops_region.h"

#include <llvm/IR/IntrinsicInst.h>

#include <algorithm>
#include <functional>
#include <set>

#include "cpu_driver/jit/shared_atomics.h"

namespace vgpu::jit {

using llvm::BasicBlock;
using llvm::Instruction;
using llvm::IRBuilder;
using llvm::PHINode;
using llvm::Type;
using llvm::Value;

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

Region::Region(Side& side, unsigned point, Soft soft)
    : side_(side),
      plan_(side.plan),
      point_(point),
      soft_(soft),
      scalarCode_(side.context()),
      laneCode_(side.context()) {}

bool Region::endsAt(const BasicBlock* block) const {
  const auto found = plan_.pointOf.find(block);
  if (found == plan_.pointOf.end()) return false;
  const Point& point = plan_.points[found->second];
  return !point.soft || (soft_ == Soft::Ends && !point.ignored);
}

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
  if (side_.whole) findAgreements();
  IRBuilder<> latch(latch_);
  side_.whole ? storeWhole(latch) : storeDiverged();
  closeLoop(latch);
}

void Region::collectBlocks() {
  std::set<BasicBlock*> seen;
  std::function<void(BasicBlock*)> visit = [&](BasicBlock* block) {
    if (!seen.insert(block).second) return;
    for (BasicBlock* successor : llvm::successors(block)) {
      if (!endsAt(successor)) visit(successor);
    }
    blocks_.push_back(block);
  };
  visit(plan_.points[point_].block);
  std::reverse(blocks_.begin(), blocks_.end());
}

void Region::cloneBlocks() {
  for (BasicBlock* block : blocks_) {
    IRBuilder<> builder(clones_[block]);
    for (Instruction& instruction : *block) {
      if (instruction.isTerminator()) break;
      if (plan_.isScalar(&instruction) || plan_.recomputed.count(&instruction) != 0) continue;
      const bool atStart = block == blocks_.front() && llvm::isa<PHINode>(instruction);
      if (!atStart) cloneInstruction(instruction, builder);
    }
    const auto follow = [&](const BasicBlock* successor) -> BasicBlock* {
      return endsAt(successor) ? edgeTo(block, successor)->block : clones_[successor];
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
    if (block == blocks_.front()) continue;
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
      if (instruction.mayReadOrWriteMemory() && !isLaneByLane(instruction))
        instruction.setMetadata(llvm::LLVMContext::MD_access_group, side_.accessGroup);
    }
  }
  const bool selfLoop = std::any_of(edges_.begin(), edges_.end(), [&](const RegionEdge& edge) {
    return edge.target == static_cast<int>(point_);
  });
  markLaneLoop(branch, side_.accessGroup, side_.whole || selfLoop ? plan_.shape.vectorWidth : 1);
  closeHead();
}

// From the head to the lanes, unless they part at a soft point or a guard fails.
void Region::closeHead() {
  if (!mixed_ && !guard_) return;
  head_->getTerminator()->eraseFromParent();
  BasicBlock* last = head_;
  if (mixed_) {
    parted_ = newBlock("parted");
    last = newBlock("alike");
    llvm::BranchInst::Create(parted_, last, mixed_, head_);
    lane_->replaceIncomingBlockWith(head_, last);
  }
  if (guard_) {
    refused_ = newBlock("refused");
    llvm::BranchInst::Create(laneHead_, refused_, guard_, last);
  } else {
    llvm::BranchInst::Create(laneHead_, last);
  }
  scalarCode_.SetInsertPoint(head_->getTerminator());
}

}  // namespace vgpu::jit
