// The scratch memory of a block in the loops form: kernel/loops_block.h's part, then slots, scalars of groups
// and local memory. Compile thread; offsets only.
#pragma once

#include <llvm/IR/DataLayout.h>

#include <vector>

#include "cpu_driver/jit/loops_plan.h"
#include "cpu_driver/kernel/loops_block.h"

namespace vgpu::jit {

// How a value lies in memory: predicates as bytes.
inline llvm::Type* memoryType(llvm::Type* type) {
  return type->isIntegerTy(1) ? llvm::Type::getInt8Ty(type->getContext()) : type;
}

struct LoopsLayout {
  uint32_t groups = 0, states = 0, requests = 0, results = 0, locals = 0, bytes = 0;
  std::vector<uint32_t> slotArrays;    // one element a thread
  std::vector<uint32_t> groupScalars;  // of slots that are scalars: one element a group

  LoopsLayout(const Plan& plan, const llvm::DataLayout& data) {
    const uint32_t threads = plan.shape.count * plan.shape.size;
    place(sizeof(kernel::LoopsBlock));
    groups = place(plan.shape.count * sizeof(kernel::LoopsGroup));
    states = place(threads * sizeof(uint32_t));
    requests = place(plan.rendezvous ? threads * sizeof(kernel::LoopsRequest) : 0);
    results = place(plan.rendezvous ? threads * sizeof(uint64_t) : 0);
    for (const llvm::Instruction* slot : plan.slots) {
      const auto size =
          static_cast<uint32_t>(data.getTypeAllocSize(memoryType(slot->getType())).getFixedValue());
      slotArrays.push_back(place(threads * size));
      groupScalars.push_back(place(plan.isScalar(slot) ? plan.shape.count * size : 0));
    }
    locals = place(threads * plan.localBytes);
  }

 private:
  uint32_t place(size_t size) {
    const uint32_t at = bytes;
    bytes = static_cast<uint32_t>((bytes + size + 63) / 64 * 64);
    return at;
  }
};

}  // namespace vgpu::jit
