#include "cpu_driver/jit/shared_atomics.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/Transforms/Utils/LowerAtomic.h>

#include <vector>

#include "cpu_driver/jit/thread_function.h"

namespace vgpu::jit {
namespace {

using llvm::Instruction;
using llvm::IRBuilder;
using llvm::Value;

constexpr const char* kMark = "vgpu.lane.by.lane";

bool isShared(const Value* pointer) {
  // The address that faults in place of a misaligned one (translate/memory.cc) is nobody's.
  const auto* choice = llvm::dyn_cast<llvm::SelectInst>(pointer);
  if (choice && llvm::isa<llvm::Constant>(choice->getFalseValue())) pointer = choice->getTrueValue();
  const auto* object = llvm::dyn_cast<Instruction>(llvm::getUnderlyingObject(pointer, 0));
  return object && calledMarker(*object) == Marker::SharedBase;
}

template <class Access>
Access* marked(Access* access) {
  access->setMetadata(kMark, llvm::MDNode::get(access->getContext(), {}));
  return access;
}

void makePlain(llvm::AtomicRMWInst& atomic) {
  IRBuilder<> builder(&atomic);
  Value* before =
      marked(builder.CreateAlignedLoad(atomic.getType(), atomic.getPointerOperand(), atomic.getAlign()));
  Value* after = llvm::buildAtomicRMWValue(atomic.getOperation(), builder, before, atomic.getValOperand());
  marked(builder.CreateAlignedStore(after, atomic.getPointerOperand(), atomic.getAlign()));
  atomic.replaceAllUsesWith(before);
  atomic.eraseFromParent();
}

void makePlain(llvm::AtomicCmpXchgInst& exchange) {
  IRBuilder<> builder(&exchange);
  Value* expected = exchange.getCompareOperand();
  Value* before = marked(
      builder.CreateAlignedLoad(expected->getType(), exchange.getPointerOperand(), exchange.getAlign()));
  Value* equal = builder.CreateICmpEQ(before, expected);
  Value* after = builder.CreateSelect(equal, exchange.getNewValOperand(), before);
  marked(builder.CreateAlignedStore(after, exchange.getPointerOperand(), exchange.getAlign()));
  Value* pair = builder.CreateInsertValue(llvm::PoisonValue::get(exchange.getType()), before, 0);
  exchange.replaceAllUsesWith(builder.CreateInsertValue(pair, equal, 1));
  exchange.eraseFromParent();
}

}  // namespace

void makeSharedAtomicsPlain(llvm::Function& function) {
  std::vector<llvm::AtomicRMWInst*> atomics;
  std::vector<llvm::AtomicCmpXchgInst*> exchanges;
  for (Instruction& instruction : llvm::instructions(function)) {
    if (auto* atomic = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction)) {
      if (isShared(atomic->getPointerOperand())) atomics.push_back(atomic);
    } else if (auto* exchange = llvm::dyn_cast<llvm::AtomicCmpXchgInst>(&instruction)) {
      if (isShared(exchange->getPointerOperand())) exchanges.push_back(exchange);
    }
  }
  for (llvm::AtomicRMWInst* atomic : atomics) makePlain(*atomic);
  for (llvm::AtomicCmpXchgInst* exchange : exchanges) makePlain(*exchange);
}

bool isLaneByLane(const Instruction& instruction) { return instruction.hasMetadata(kMark); }

}  // namespace vgpu::jit
