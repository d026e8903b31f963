// What a region leaves behind: slots, the operands of the rendezvous that it leads to, the way that each lane
// took.
#include <algorithm>
#include <functional>
#include <set>

#include "cpu_driver/jit/loops_region.h"
#include "cpu_driver/jit/loops_request.h"

namespace vgpu::jit {

using kernel::LoopsRequest;
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

Value* Side::request(IRBuilder<>& builder, Value* thread) const {
  Value* bytes = builder.CreateMul(thread, builder.getInt64(sizeof(LoopsRequest)));
  return builder.CreateInBoundsGEP(builder.getInt8Ty(), scratchAt(builder, layout.requests), bytes);
}

Value* loadSlotValue(IRBuilder<>& builder, Type* type, Value* address) {
  if (!type->isIntegerTy(1)) return builder.CreateLoad(type, address);
  return builder.CreateTrunc(builder.CreateLoad(builder.getInt8Ty(), address), type);
}

void storeSlotValue(IRBuilder<>& builder, Value* value, Value* address) {
  if (value->getType()->isIntegerTy(1)) value = builder.CreateZExt(value, builder.getInt8Ty());
  builder.CreateStore(value, address);
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

// What a slot holds when the region is left by `edge`, or null: what it held before.
Value* Region::leaving(const Instruction* slot, const RegionEdge& edge) {
  const auto* phi = llvm::dyn_cast<PHINode>(slot);
  if (phi && phi->getParent() == plan_.points[static_cast<unsigned>(edge.target)].block)
    return incoming(*phi, edge);
  const auto local = local_.find(slot);
  return local == local_.end() ? nullptr : local->second;
}

// One value at the latch of what each edge brings.
Value* Region::merged(IRBuilder<>& latch, Type* type, llvm::function_ref<Value*(const RegionEdge&)> of) {
  if (edges_.size() == 1) return of(edges_[0]);
  PHINode* phi = latch.CreatePHI(type, static_cast<unsigned>(edges_.size()));
  for (const RegionEdge& edge : edges_) phi->addIncoming(of(edge), edge.block);
  return phi;
}

// Everything that lives on is stored at the latch, unconditionally, so that arrays of slots stay vector
// registers.
void Region::storeWhole(IRBuilder<>& latch) {
  Stores stores;
  for (unsigned slot = 0; slot < plan_.slots.size(); ++slot) {
    if (!plan_.isScalar(plan_.slots[slot])) collectSlot(latch, slot, stores);
  }
  collectOperands(latch, stores);
  if (keys_.size() > 1 && !decidable_) {
    keyArray_ = entryAlloca(side_.function, latch.getInt8Ty(), plan_.shape.size);
    const auto keyOf = [&](const RegionEdge& edge) { return latch.getInt8(static_cast<uint8_t>(edge.key)); };
    stores.emplace_back(merged(latch, latch.getInt8Ty(), keyOf), keyArray_);
  }
  for (const RegionEdge& edge : edges_) llvm::BranchInst::Create(latch_, edge.block);
  for (const auto& [value, array] : stores)
    storeSlotValue(latch, value, latch.CreateInBoundsGEP(memoryType(value->getType()), array, lane_));
}

// Where an edge leads to a point that does not want the slot, anything may be in it: most slots are then one
// value, without a mask.
void Region::collectSlot(IRBuilder<>& latch, unsigned slot, Stores& stores) {
  const Instruction* value = plan_.slots[slot];
  const auto wants = [&](const RegionEdge& edge) {
    return edge.target >= 0 && plan_.liveAt[static_cast<unsigned>(edge.target)].test(slot);
  };
  const auto changes = [&](const RegionEdge& edge) { return wants(edge) && leaving(value, edge) != nullptr; };
  if (std::none_of(edges_.begin(), edges_.end(), changes)) return;
  const auto of = [&](const RegionEdge& edge) -> Value* {
    if (!wants(edge)) return llvm::PoisonValue::get(value->getType());
    Value* mine = leaving(value, edge);
    return mine ? mine : slotLoad(value);
  };
  stores.emplace_back(merged(latch, value->getType(), of), side_.slotArrays[slot]);
}

void Region::collectOperands(IRBuilder<>& latch, Stores& stores) {
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
      Type* type = argument->getType();
      auto* array = entryAlloca(side_.function, memoryType(type), plan_.shape.size);
      operandArrays_.push_back({{target, i}, array});
      const auto of = [&](const RegionEdge& edge) {
        return edge.target == static_cast<int>(target) ? use(argument) : llvm::PoisonValue::get(type);
      };
      stores.emplace_back(merged(latch, type, of), array);
    }
  }
}

// An edge's slots, request and state, in the memory of this lane's thread.
void Region::storeDiverged() {
  for (const RegionEdge& edge : edges_) {
    IRBuilder<> builder(edge.block);
    uint32_t state = kernel::kThreadExited;
    if (edge.target >= 0) {
      const Point& point = plan_.points[static_cast<unsigned>(edge.target)];
      state = static_cast<uint32_t>(edge.target) | (point.call ? kernel::kThreadWaiting : 0);
      storeThreadSlots(builder, edge);
      if (point.call) {
        storeRequest(builder, point.operation, side_.request(builder, thread_),
                     [&](unsigned i) { return use(point.call->getArgOperand(i)); });
      }
    }
    builder.CreateStore(builder.getInt32(state),
                        side_.scratchElement(builder, side_.layout.states, builder.getInt32Ty(), thread_));
    builder.CreateBr(latch_);
  }
}

void Region::storeThreadSlots(IRBuilder<>& builder, const RegionEdge& edge) {
  const auto target = static_cast<unsigned>(edge.target);
  std::vector<std::pair<Value*, unsigned>> stores;  // all values are read before any slot is written
  for (const unsigned slot : plan_.liveAt[target].set_bits()) {
    if (Value* value = leaving(plan_.slots[slot], edge)) stores.emplace_back(value, slot);
  }
  for (const auto& [value, slot] : stores)
    storeSlotValue(
        builder, value,
        side_.scratchElement(builder, side_.layout.slotArrays[slot], memoryType(value->getType()), thread_));
}

}  // namespace vgpu::jit
