#include "cpu_driver/jit/loops_plan.h"

#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/Analysis/CFG.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include <algorithm>
#include <bit>
#include <set>

#include "cpu_driver/jit/loops_affine.h"
#include "cpu_driver/jit/loops_uniform.h"

namespace vgpu::jit {
namespace {

using llvm::BasicBlock;
using llvm::CallInst;
using llvm::Instruction;
using llvm::PHINode;
using llvm::Value;

constexpr unsigned kMaxRecomputedNodes = 24;  // beyond that a slot is cheaper
constexpr size_t kMaxPoints = 400;            // code grows with them; the fibers form takes what is larger

bool isWarpOperation(Marker which) {
  return suspends(which) && which != Marker::Barrier && which != Marker::BarrierReduce &&
         which != Marker::BarrierArrive && which != Marker::NanoSleep && which != Marker::Yield;
}

class Planner {
 public:
  Planner(Plan& plan, llvm::Function& function, const FormOptions& options, llvm::TargetMachine& machine)
      : plan_(plan), function_(function), options_(options), machine_(machine) {
    plan_.function = &function;
    plan_.block = options.block;
  }

  bool run(std::string& why) {
    if (options_.block.count() == 0 || options_.block.x == 0)
      return why = "block dimensions are not known", false;
    collectLocals();
    if (!splitAtCalls(why)) return false;
    chooseShape();
    if (!findPoints(why)) return false;
    splitAffinePhis();
    divergent_ = divergentValues(function_, plan_.shape);
    findScalars();
    findRecomputed();
    hardenPoints();
    findTurns();
    findSlots();
    findLiveness();
    return true;
  }

 private:
  void collectLocals() {
    const llvm::DataLayout& layout = function_.getDataLayout();
    for (Instruction& instruction : llvm::instructions(function_)) {
      auto* alloca = llvm::dyn_cast<llvm::AllocaInst>(&instruction);
      if (!alloca) continue;
      const auto alignment = static_cast<uint32_t>(alloca->getAlign().value());
      plan_.localBytes = (plan_.localBytes + alignment - 1) / alignment * alignment;
      plan_.localOffset[alloca] = plan_.localBytes;
      plan_.locals.push_back(alloca);
      const auto size = alloca->getAllocationSize(layout);
      plan_.localBytes += size ? static_cast<uint32_t>(size->getFixedValue()) : 0;
    }
    plan_.localBytes = (plan_.localBytes + 63) / 64 * 64;
  }

  // Pairs that a marker or an atomic gives are taken apart at once, so that no structure lives across a
  // point.
  static void takeApartAtOnce(Instruction& maker) {
    if (!maker.getType()->isStructTy()) return;
    std::vector<llvm::ExtractValueInst*> extracts;
    for (llvm::User* user : maker.users()) {
      if (auto* extract = llvm::dyn_cast<llvm::ExtractValueInst>(user)) extracts.push_back(extract);
    }
    for (llvm::ExtractValueInst* extract : extracts) extract->moveAfter(&maker);
  }

  bool splitAtCalls(std::string& why) {
    std::vector<CallInst*> calls;
    std::vector<Instruction*> structures;
    for (Instruction& instruction : llvm::instructions(function_)) {
      if (instruction.getType()->isStructTy()) structures.push_back(&instruction);
      const Marker which = calledMarker(instruction);
      if (which == Marker::Count) {
        const auto* call = llvm::dyn_cast<CallInst>(&instruction);
        if (call && !call->getCalledFunction()) return why = "an indirect call", false;
        if (call && !call->getCalledFunction()->isIntrinsic())
          return why = "a call that was not inlined", false;
        continue;
      }
      const bool ends = which == Marker::Trap || which == Marker::AssertFail;
      if (!suspends(which) && !ends) continue;
      if (which == Marker::BarrierArrive) return why = "bar.arrive", false;
      calls.push_back(llvm::cast<CallInst>(&instruction));
    }
    for (Instruction* each : structures) takeApartAtOnce(*each);
    for (CallInst* call : calls) {
      const Marker which = calledMarker(*call);
      if (which == Marker::NanoSleep || which == Marker::Yield) {
        call->eraseFromParent();
        continue;
      }
      BasicBlock* block = call->getParent();
      if (call != &block->front() || block->isEntryBlock())
        block = llvm::SplitBlock(block, call->getIterator());
      cut_.insert(block);
      if (!suspends(which)) continue;
      plan_.rendezvous = true;
      (isWarpOperation(which) ? plan_.warpOperations : plan_.blockBarriers) = true;
      rendezvousAt_[block] = call;
    }
    return true;
  }

  void chooseShape() {
    GroupShape& shape = plan_.shape;
    const auto& block = plan_.block;
    const bool wide = machine_.getTargetFeatureString().contains("+avx512f");
    const auto threads = static_cast<uint32_t>(block.count());
    if (plan_.warpOperations) {
      shape.size = kernel::kWarpSize;
      shape.rows = block.x % kernel::kWarpSize == 0;
      shape.stripsPerRow = std::max(1u, block.x / kernel::kWarpSize);
      shape.count = (threads + kernel::kWarpSize - 1) / kernel::kWarpSize;
      shape.partial = threads % kernel::kWarpSize != 0;
    } else {
      const uint32_t best = wide ? 32 : 16;
      const uint32_t divisor = std::min(best, block.x & -block.x);
      shape.size = block.x <= best ? block.x : divisor >= 8 ? divisor : best;
      shape.stripsPerRow = (block.x + shape.size - 1) / shape.size;
      shape.partial = block.x % shape.size != 0;
      shape.count = shape.stripsPerRow * block.y * block.z;
    }
    shape.vectorWidth = shape.size & -shape.size;
  }

  bool findPoints(std::string& why) {
    llvm::DominatorTree dominators(function_);
    llvm::LoopInfo loops(dominators);
    llvm::ReversePostOrderTraversal<llvm::Function*> order(&function_);
    if (llvm::containsIrreducibleCFG<BasicBlock*>(order, loops))
      return why = "irreducible control flow", false;
    std::set<const BasicBlock*> headers;
    for (const llvm::Loop* loop : loops.getLoopsInPreorder()) {
      headers.insert(loop->getHeader());
      cut_.insert(loop->getHeader());
      llvm::SmallVector<BasicBlock*, 8> exits;
      loop->getExitBlocks(exits);
      cut_.insert(exits.begin(), exits.end());
    }
    cut_.insert(&function_.getEntryBlock());
    for (BasicBlock* block : order) cutAtGuard(*block);
    for (BasicBlock* block : order) {
      const bool hard = cut_.count(block) != 0;
      if (!hard && softCut_.count(block) == 0) continue;
      plan_.pointOf[block] = static_cast<unsigned>(plan_.points.size());
      Point point{block, nullptr, Marker::Count, headers.count(block) != 0};
      point.soft = !hard;
      if (const auto found = rendezvousAt_.find(block); found != rendezvousAt_.end()) {
        point.call = found->second;
        point.operation = calledMarker(*found->second);
      }
      plan_.points.push_back(point);
    }
    if (plan_.points.size() > kMaxPoints) return why = "too many points where threads may wait", false;
    return true;
  }

  // Whether a comparison is of the thread's place in its block or in the grid: all lanes of many groups
  // agree.
  static bool ofIndex(const Value* value, unsigned depth) {
    const auto* instruction = llvm::dyn_cast<Instruction>(value);
    if (!instruction || depth == 0) return false;
    switch (calledMarker(*instruction)) {
      case Marker::TidX:
      case Marker::TidY:
      case Marker::TidZ:
      case Marker::LaneId:
      case Marker::WarpId:
      case Marker::CtaidX:
      case Marker::CtaidY:
      case Marker::CtaidZ:
        return true;
      default:
        break;
    }
    if (llvm::isa<llvm::LoadInst, PHINode, llvm::CallInst>(instruction)) return false;
    return std::any_of(instruction->op_begin(), instruction->op_end(),
                       [&](const llvm::Use& use) { return ofIndex(use.get(), depth - 1); });
  }

  // `if (i < n)`: both ways begin a region, so that the lanes' loop needs no masks for it. Each costs code
  // twice over.
  void cutAtGuard(BasicBlock& block) {
    constexpr unsigned kDepth = 8;
    constexpr size_t kMaxSoft = 24;
    const auto* branch = llvm::dyn_cast<llvm::BranchInst>(block.getTerminator());
    if (!branch || !branch->isConditional() || !ofIndex(branch->getCondition(), kDepth)) return;
    if (softCut_.size() >= kMaxSoft) return;
    for (BasicBlock* successor : llvm::successors(&block)) softCut_.insert(successor);
  }

  // Points that were cut for a guard which cannot be answered for all lanes at once are none: lanes are
  // masked there. Those with a scalar of their own are no place that a region can go through.
  void hardenPoints() {
    for (Point& point : plan_.points) {
      if (!point.soft) continue;
      const auto phis = point.block->phis();
      const bool keepsScalar =
          std::any_of(phis.begin(), phis.end(), [&](const PHINode& phi) { return plan_.isScalar(&phi); });
      if (keepsScalar) point.soft = false;
    }
    for (BasicBlock& block : function_) {
      const auto* branch = llvm::dyn_cast<llvm::BranchInst>(block.getTerminator());
      if (!branch || !branch->isConditional() || mayAgree(plan_, branch->getCondition())) continue;
      for (const BasicBlock* successor : llvm::successors(&block)) {
        const auto found = plan_.pointOf.find(successor);
        if (found != plan_.pointOf.end())
          plan_.points[found->second].ignored = plan_.points[found->second].soft;
      }
    }
  }

  // p = phi(init, p + step) with a divergent init and a uniform step is init + phi(0, + step): a scalar
  // counter, and an address that stays affine in the thread's index.
  void splitAffinePhis() {
    divergent_ = divergentValues(function_, plan_.shape);
    llvm::DominatorTree dominators(function_);
    llvm::LoopInfo loops(dominators);
    for (llvm::Loop* loop : loops.getLoopsInPreorder()) {
      BasicBlock *preheader = loop->getLoopPredecessor(), *latch = loop->getLoopLatch();
      if (!preheader || !latch) continue;
      std::vector<PHINode*> phis;
      for (PHINode& phi : loop->getHeader()->phis()) phis.push_back(&phi);
      for (PHINode* phi : phis) splitAffinePhi(*phi, *loop, preheader, latch);
    }
  }

  void splitAffinePhi(PHINode& phi, const llvm::Loop& loop, BasicBlock* preheader, BasicBlock* latch) {
    Value* init = phi.getIncomingValueForBlock(preheader);
    auto* next = llvm::dyn_cast<Instruction>(phi.getIncomingValueForBlock(latch));
    if (!next || llvm::isa<llvm::Constant>(init) || divergent_.count(init) == 0) return;
    Value* step = nullptr;
    if (auto* add = llvm::dyn_cast<llvm::BinaryOperator>(next); add && add->getOpcode() == Instruction::Add) {
      step = add->getOperand(0) == &phi   ? add->getOperand(1)
             : add->getOperand(1) == &phi ? add->getOperand(0)
                                          : nullptr;
    } else if (auto* gep = llvm::dyn_cast<llvm::GetElementPtrInst>(next);
               gep && gep->getNumIndices() == 1 && gep->getPointerOperand() == &phi) {
      step = gep->getOperand(1);
      if (!step->getType()->isIntegerTy(64)) return;
    }
    if (!step || !loop.isLoopInvariant(step) || divergent_.count(step) != 0) return;
    llvm::IRBuilder<> head(&loop.getHeader()->front());
    auto* gep = llvm::dyn_cast<llvm::GetElementPtrInst>(next);
    llvm::Type* type = gep ? head.getInt64Ty() : phi.getType();
    PHINode* counter = head.CreatePHI(type, 2);
    llvm::IRBuilder<> tail(next);
    counter->addIncoming(llvm::ConstantInt::get(type, 0), preheader);
    counter->addIncoming(tail.CreateAdd(counter, step), latch);
    llvm::IRBuilder<> body(&*loop.getHeader()->getFirstInsertionPt());
    Value* whole =
        gep ? body.CreateGEP(gep->getSourceElementType(), init, counter) : body.CreateAdd(init, counter);
    phi.replaceAllUsesWith(whole);
    phi.eraseFromParent();
  }

  // A load of the parameter block or of a constant at a fixed place: may be done anywhere, any number of
  // times.
  static bool isFixedLoad(const Instruction& instruction) {
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
    if (!load || load->isVolatile() || load->isAtomic()) return false;
    if (!load->hasMetadata(llvm::LLVMContext::MD_invariant_load)) return false;
    const Value* pointer = load->getPointerOperand();
    while (const auto* gep = llvm::dyn_cast<llvm::GEPOperator>(pointer)) {
      if (!gep->hasAllConstantIndices()) return false;
      pointer = gep->getPointerOperand();
    }
    const auto* base = llvm::dyn_cast<Instruction>(pointer);
    const Marker which = base ? calledMarker(*base) : Marker::Count;
    return which == Marker::ParamBase || which == Marker::Symbol;
  }

  bool mayBeScalar(const Instruction& instruction) const {
    if (divergent_.count(&instruction) != 0 || instruction.getType()->isVoidTy()) return false;
    if (const auto* phi = llvm::dyn_cast<PHINode>(&instruction)) return plan_.isPoint(phi->getParent());
    if (instruction.isTerminator() || llvm::isa<llvm::AllocaInst>(instruction)) return false;
    if (isFixedLoad(instruction)) return true;
    return !instruction.mayReadOrWriteMemory() && llvm::isSafeToSpeculativelyExecute(&instruction);
  }

  void findScalars() {
    for (const Instruction& instruction : llvm::instructions(function_)) {
      if (mayBeScalar(instruction)) plan_.scalars.insert(&instruction);
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (const Instruction& instruction : llvm::instructions(function_)) {
        if (plan_.scalars.count(&instruction) == 0) continue;
        const auto isNot = [&](const llvm::Use& use) {
          return llvm::isa<Instruction, llvm::Argument>(use.get()) && plan_.scalars.count(use.get()) == 0;
        };
        if (!std::any_of(instruction.op_begin(), instruction.op_end(), isNot)) continue;
        plan_.scalars.erase(&instruction);
        changed = true;
      }
    }
  }

  static bool isCheap(const Instruction& instruction) {
    const llvm::Type* type = instruction.getType();
    if (!type->isIntegerTy() && !type->isPointerTy()) return false;
    if (llvm::isa<llvm::GetElementPtrInst, llvm::ICmpInst, llvm::SelectInst>(instruction)) return true;
    if (const auto* cast = llvm::dyn_cast<llvm::CastInst>(&instruction))
      return cast->getSrcTy()->isIntegerTy() || cast->getSrcTy()->isPointerTy();
    if (const auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(&instruction)) {
      switch (binary->getOpcode()) {
        case Instruction::UDiv:
        case Instruction::SDiv:
        case Instruction::URem:
        case Instruction::SRem:
          return false;
        default:
          return true;
      }
    }
    switch (calledMarker(instruction)) {
      case Marker::TidX:
      case Marker::TidY:
      case Marker::TidZ:
      case Marker::LaneId:
      case Marker::WarpId:
        return true;
      default:
        return false;
    }
  }

  // Trees of cheap integer operations over the thread's index, scalars and constants.
  void findRecomputed() {
    for (llvm::AllocaInst* local : plan_.locals) plan_.recomputed.insert(local);
    llvm::DenseMap<const Value*, unsigned> nodes;
    llvm::ReversePostOrderTraversal<llvm::Function*> order(&function_);
    for (const BasicBlock* block : order) {
      for (const Instruction& instruction : *block) {
        if (plan_.isScalar(&instruction) || !isCheap(instruction)) continue;
        unsigned size = 1;
        bool possible = true;
        for (const llvm::Use& operand : instruction.operands()) {
          if (llvm::isa<llvm::Function>(operand.get()) || plan_.isScalar(operand.get())) continue;
          possible = possible && plan_.recomputed.count(operand.get()) != 0;
          size += nodes.lookup(operand.get());
        }
        if (!possible || size > kMaxRecomputedNodes) continue;
        plan_.recomputed.insert(&instruction);
        nodes[&instruction] = size;
      }
    }
  }

  // A load that is contiguous in the lanes and not of shared memory.
  bool walksMemory(const Instruction& instruction) const {
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
    if (!load || plan_.isScalar(load->getPointerOperand())) return false;
    const auto* object = llvm::dyn_cast<Instruction>(llvm::getUnderlyingObject(load->getPointerOperand()));
    return !object || (calledMarker(*object) != Marker::SharedBase && !llvm::isa<llvm::AllocaInst>(object));
  }

  // Loops such as `for (i = index; i < n; i += grid)`: a group alone would touch a page for each of its
  // lines.
  void findTurns() {
    if (plan_.shape.count == 1) return;
    llvm::DominatorTree dominators(function_);
    llvm::LoopInfo loops(dominators);
    for (Point& point : plan_.points) {
      const llvm::Loop* loop = point.turnsBack ? loops.getLoopFor(point.block) : nullptr;
      if (!loop || loop->getHeader() != point.block) continue;
      bool alone = true, walks = false;
      for (const BasicBlock* block : loop->blocks()) {
        alone = alone && (block == point.block || !plan_.isPoint(block));
        walks = walks || std::any_of(block->begin(), block->end(),
                                     [&](const Instruction& each) { return walksMemory(each); });
      }
      point.takesTurns = alone && walks;
    }
  }

  // Whether some path from the definition to the use crosses a point: the use's block, or one on the way
  // back, is one.
  bool crosses(const Instruction& value, const llvm::Use& use) {
    const auto* user = llvm::cast<Instruction>(use.getUser());
    const BasicBlock* from = user->getParent();
    if (const auto* phi = llvm::dyn_cast<PHINode>(user)) from = phi->getIncomingBlock(use);
    return crossesTo(value, from);
  }

  // The same for a use at the end of block `from`.
  bool crossesTo(const Instruction& value, const BasicBlock* from) {
    const BasicBlock* definition = value.getParent();
    if (from == definition) return false;
    std::set<const BasicBlock*> seen{from};
    std::vector<const BasicBlock*> work{from};
    while (!work.empty()) {
      const BasicBlock* block = work.back();
      work.pop_back();
      if (plan_.isPoint(block)) return true;
      for (const BasicBlock* before : llvm::predecessors(block)) {
        if (before != definition && seen.insert(before).second) work.push_back(before);
      }
    }
    return false;
  }

  bool needsSlot(const Instruction& instruction) {
    if (instruction.getType()->isVoidTy() || plan_.recomputed.count(&instruction) != 0) return false;
    const bool phiAtPoint = llvm::isa<PHINode>(instruction) && plan_.isPoint(instruction.getParent());
    if (plan_.isScalar(&instruction) || phiAtPoint) return phiAtPoint;
    // A rendezvous' operands are wanted when it is reached, its result when it is left.
    return std::any_of(instruction.use_begin(), instruction.use_end(), [&](const llvm::Use& use) {
      const auto* user = llvm::cast<Instruction>(use.getUser());
      if (const auto found = rendezvousAt_.find(user->getParent());
          found != rendezvousAt_.end() && found->second == user) {
        const auto before = llvm::predecessors(user->getParent());
        return std::any_of(before.begin(), before.end(),
                           [&](const BasicBlock* from) { return crossesTo(instruction, from); });
      }
      return crosses(instruction, use);
    });
  }

  void findSlots() {
    for (Instruction& instruction : llvm::instructions(function_)) {
      if (!needsSlot(instruction)) continue;
      plan_.slotOf[&instruction] = static_cast<unsigned>(plan_.slots.size());
      plan_.slots.push_back(&instruction);
    }
  }

  // The slots that a value is made of: itself, or those below it when it is computed anew.
  void leaves(const Value* value, llvm::BitVector& into, llvm::DenseSet<const Value*>& seen) const {
    if (!llvm::isa<Instruction>(value) || !seen.insert(value).second) return;
    if (const auto found = plan_.slotOf.find(value); found != plan_.slotOf.end())
      return void(into.set(found->second));
    if (!plan_.isScalar(value) && plan_.recomputed.count(value) == 0) return;
    for (const Value* operand : llvm::cast<Instruction>(value)->operands()) leaves(operand, into, seen);
  }

  void findLiveness() {
    const auto count = static_cast<unsigned>(plan_.slots.size());
    llvm::DenseMap<const BasicBlock*, llvm::BitVector> live;
    const auto note = [&](const Value* value, llvm::BitVector& into) {
      llvm::DenseSet<const Value*> seen;
      leaves(value, into, seen);
    };
    for (BasicBlock& block : function_) live[&block] = llvm::BitVector(count);
    for (bool changed = true; changed;) {
      changed = false;
      for (const BasicBlock* block : llvm::post_order(&function_)) {
        llvm::BitVector now(count);
        for (const BasicBlock* successor : llvm::successors(block)) {
          llvm::BitVector wanted = live[successor];
          for (const PHINode& phi : successor->phis()) {
            if (const auto slot = plan_.slotOf.find(&phi); slot != plan_.slotOf.end())
              wanted.reset(slot->second);
            note(phi.getIncomingValueForBlock(block), wanted);
          }
          if (const auto call = rendezvousAt_.find(successor); call != rendezvousAt_.end())
            for (const Value* argument : call->second->args()) note(argument, wanted);
          now |= wanted;
        }
        for (const Instruction& instruction : llvm::reverse(*block)) {
          if (llvm::isa<PHINode>(instruction)) continue;
          if (const auto slot = plan_.slotOf.find(&instruction); slot != plan_.slotOf.end())
            now.reset(slot->second);
          if (const auto call = rendezvousAt_.find(block);
              call != rendezvousAt_.end() && call->second == &instruction)
            continue;
          if (plan_.isScalar(&instruction) || plan_.recomputed.count(&instruction) != 0) continue;
          for (const Value* operand : instruction.operands()) note(operand, now);
        }
        for (const PHINode& phi : block->phis()) {
          const auto slot = plan_.slotOf.find(&phi);
          if (slot != plan_.slotOf.end() && !plan_.isPoint(block)) now.reset(slot->second);
        }
        changed |= now != live[block];
        live[block] = std::move(now);
      }
    }
    for (const Point& point : plan_.points) plan_.liveAt.push_back(live[point.block]);
  }

  Plan& plan_;
  llvm::Function& function_;
  const FormOptions& options_;
  llvm::TargetMachine& machine_;
  std::set<const BasicBlock*> cut_, softCut_;
  llvm::DenseMap<const BasicBlock*, CallInst*> rendezvousAt_;
  llvm::DenseSet<const Value*> divergent_;
};

}  // namespace

bool makePlan(Plan& plan, llvm::Function& function, const FormOptions& options, llvm::TargetMachine& machine,
              std::string& why) {
  return Planner(plan, function, options, machine).run(why);
}

}  // namespace vgpu::jit
