// Facts that decide the form, and what every form needs in the thread function: yields in spinning loops,
// checks.
#include <llvm/ADT/SCCIterator.h>
#include <llvm/Analysis/CFG.h>
#include <llvm/Analysis/CallGraph.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "cpu_driver/jit/form.h"

namespace vgpu::jit {
namespace {

using llvm::BasicBlock;
using llvm::Function;
using llvm::Instruction;
using llvm::Value;

// Whether what it gives depends on what other threads do meanwhile.
bool observesOthers(const Instruction& instruction) {
  if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction))
    return load->isVolatile() || load->isAtomic();
  return llvm::isa<llvm::AtomicRMWInst, llvm::AtomicCmpXchgInst>(instruction);
}

using Functions = std::set<const Function*>;

// The functions that observe others, themselves or through those that they call.
Functions observingFunctions(const llvm::Module& module) {
  Functions observing;
  for (bool grown = true; grown;) {
    grown = false;
    for (const Function& function : module) {
      if (function.isDeclaration() || observing.count(&function) != 0) continue;
      const bool observes = llvm::any_of(llvm::instructions(function), [&](const Instruction& instruction) {
        const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
        return observesOthers(instruction) || (call && observing.count(call->getCalledFunction()) != 0);
      });
      if (observes) observing.insert(&function);
      grown |= observes;
    }
  }
  return observing;
}

// What a call of such a function gives back: it is in the caller's memory, where the loop loads it.
void taintResults(const llvm::Loop& loop, const llvm::CallInst& call, std::set<const Value*>& tainted) {
  std::set<const Value*> given;
  for (const Value* argument : call.args()) {
    if (argument->getType()->isPointerTy()) given.insert(llvm::getUnderlyingObject(argument));
  }
  for (const BasicBlock* block : loop.blocks()) {
    for (const Instruction& instruction : *block) {
      const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
      if (!load) continue;
      const Value* object = llvm::getUnderlyingObject(load->getPointerOperand());
      if (llvm::isa<llvm::AllocaInst>(object) && given.count(object) != 0) tainted.insert(load);
    }
  }
}

// Whether a branch inside the loop depends on a value that other threads change. Data flow inside the loop; a
// value that went through memory counts when the loop observes others at all.
bool loopSpins(const llvm::Loop& loop, const Functions& observing) {
  bool observes = false;
  std::set<const Value*> tainted;
  for (const BasicBlock* block : loop.blocks()) {
    for (const Instruction& instruction : *block) {
      const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
      const bool calls = call && observing.count(call->getCalledFunction()) != 0;
      if (calls) taintResults(loop, *call, tainted);
      if (!calls && !observesOthers(instruction)) continue;
      observes = true;
      tainted.insert(&instruction);
    }
  }
  if (!observes) return false;
  std::vector<const Value*> work(tainted.begin(), tainted.end());
  while (!work.empty()) {
    const Value* value = work.back();
    work.pop_back();
    for (const llvm::User* user : value->users()) {
      const auto* instruction = llvm::dyn_cast<Instruction>(user);
      if (!instruction || !loop.contains(instruction)) continue;
      if (instruction->isTerminator()) return true;
      if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(instruction)) {
        if (llvm::isa<llvm::AllocaInst>(llvm::getUnderlyingObject(store->getPointerOperand()))) return true;
        continue;
      }
      if (tainted.insert(instruction).second) work.push_back(instruction);
    }
  }
  return false;
}

bool putYields(Function& function, const Functions& observing) {
  llvm::DominatorTree dominators(function);
  llvm::LoopInfo loops(dominators);
  std::vector<Instruction*> places;
  for (llvm::Loop* loop : loops.getLoopsInPreorder()) {
    if (!loopSpins(*loop, observing)) continue;
    llvm::SmallVector<BasicBlock*, 4> latches;
    loop->getLoopLatches(latches);
    for (BasicBlock* latch : latches) places.push_back(latch->getTerminator());
  }
  for (Instruction* place : places)
    llvm::CallInst::Create(marker(*function.getParent(), Marker::Yield), "", place->getIterator());
  return !places.empty();
}

struct Access {
  Value* pointer = nullptr;
  llvm::Type* type = nullptr;
  uint64_t alignment = 1;
  bool write = false;
};

Access accessOf(Instruction& instruction) {
  if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction))
    return {load->getPointerOperand(), load->getType(), load->getAlign().value(), false};
  if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction))
    return {store->getPointerOperand(), store->getValueOperand()->getType(), store->getAlign().value(), true};
  if (auto* atomic = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction))
    return {atomic->getPointerOperand(), atomic->getValOperand()->getType(), atomic->getAlign().value(),
            true};
  if (auto* exchange = llvm::dyn_cast<llvm::AtomicCmpXchgInst>(&instruction))
    return {exchange->getPointerOperand(), exchange->getNewValOperand()->getType(),
            exchange->getAlign().value(), true};
  return {};
}

// What PTX asks for, where the access is an element of a vector that has to be aligned as a whole.
uint64_t vectorAlignmentOf(const Instruction& instruction) {
  const llvm::MDNode* node = instruction.getMetadata(kVectorAlignment);
  return node ? llvm::mdconst::extract<llvm::ConstantInt>(node->getOperand(0))->getZExtValue() : 1;
}

void putChecks(Function& function) {
  llvm::Module& module = *function.getParent();
  const llvm::DataLayout& layout = module.getDataLayout();
  std::vector<std::pair<Instruction*, Access>> accesses;
  for (Instruction& instruction : llvm::instructions(function)) {
    const Access access = accessOf(instruction);
    if (!access.pointer) continue;
    const Value* object = llvm::getUnderlyingObject(access.pointer);
    if (llvm::isa<llvm::AllocaInst, llvm::GlobalVariable>(object)) continue;
    const auto* source = llvm::dyn_cast<Instruction>(object);
    if (source && calledMarker(*source) == Marker::ParamBase) continue;
    accesses.emplace_back(&instruction, access);
  }
  for (const auto& [instruction, access] : accesses) {
    llvm::IRBuilder<> builder(instruction);
    builder.CreateCall(
        marker(module, Marker::CheckAccess),
        {access.pointer, builder.getInt64(layout.getTypeStoreSize(access.type).getFixedValue()),
         builder.getInt32(static_cast<uint32_t>(std::max(access.alignment, vectorAlignmentOf(*instruction)))),
         builder.getInt1(access.write)});
  }
}

std::string recursion(llvm::Module& module) {
  llvm::CallGraph graph(module);
  for (auto component = llvm::scc_begin(&graph); !component.isAtEnd(); ++component) {
    if (!component.hasCycle()) continue;
    for (const llvm::CallGraphNode* node : *component) {
      if (node->getFunction() && !node->getFunction()->isDeclaration())
        return "recursion through " + node->getFunction()->getName().str();
    }
  }
  return {};
}

std::string dynamicAlloca(Function& function) {
  for (const Instruction& instruction : llvm::instructions(function)) {
    const auto* alloca = llvm::dyn_cast<llvm::AllocaInst>(&instruction);
    if (alloca && !alloca->isStaticAlloca()) return "dynamic stack allocation in " + function.getName().str();
  }
  return {};
}

// Steps of the function and what it calls, where there is no recursion; 0 where no bound is known.
class StepCounter {
 public:
  uint32_t of(const Function& function) {
    if (const auto known = known_.find(&function); known != known_.end()) return known->second;
    return known_[&function] = count(function);
  }

 private:
  // Not of what the kernel computes alone, but of the driver: for long, or for ever.
  static bool mayTakeLong(Marker which) {
    switch (which) {
      case Marker::Printf:
      case Marker::Malloc:
      case Marker::Free:
      case Marker::NanoSleep:
      case Marker::Yield:
        return true;
      default:
        return false;
    }
  }

  uint32_t count(const Function& function) {
    llvm::SmallVector<std::pair<const BasicBlock*, const BasicBlock*>, 8> backEdges;
    llvm::FindFunctionBackedges(function, backEdges);
    if (!backEdges.empty()) return 0;
    uint64_t steps = 1;
    for (const Instruction& instruction : llvm::instructions(function)) {
      ++steps;
      if (mayTakeLong(calledMarker(instruction))) return 0;
      if (llvm::isa<llvm::MemIntrinsic>(instruction)) return 0;
      const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
      const Function* callee = call ? call->getCalledFunction() : nullptr;
      if (!callee || callee->isDeclaration()) continue;
      const uint32_t inner = of(*callee);
      if (inner == 0) return 0;
      steps += inner;
    }
    return steps > UINT32_MAX ? 0 : static_cast<uint32_t>(steps);
  }

  std::map<const Function*, uint32_t> known_;
};

}  // namespace

Shape prepareThreadFunction(ThreadFunction& function, const FormOptions& options) {
  Shape shape;
  shape.whyNotLoops = recursion(*function.module);
  std::vector<Function*> defined;
  for (Function& each : *function.module) {
    if (!each.isDeclaration()) defined.push_back(&each);
  }
  const Functions observing = observingFunctions(*function.module);
  for (Function* each : defined) {
    if (shape.whyNotLoops.empty()) shape.whyNotLoops = dynamicAlloca(*each);
    if (putYields(*each, observing)) shape.spins = true;
    if (options.exactChecks) putChecks(*each);
  }
  if (shape.whyNotLoops.empty())
    shape.steps = StepCounter().of(*function.module->getFunction(function.entry));
  if (shape.spins && shape.whyNotLoops.empty()) shape.whyNotLoops = "a loop waits for other threads";
  return shape;
}

}  // namespace vgpu::jit
