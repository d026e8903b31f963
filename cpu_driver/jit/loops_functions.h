// The two functions of the loops form: the block's entry, which runs whole groups, and the one for diverged
// groups. Compile thread.
#pragma once

#include "cpu_driver/jit/loops_region.h"

namespace vgpu::jit {

// What both are made of.
struct LoopsParts {
  const Plan& plan;
  const LoopsLayout& layout;
  MarkerCode& code;
  llvm::Module& module;
  llvm::MDNode* accessGroup;
};

// i32 (ptr block, i32 group, i1 atOnce): runs lanes by their own states. Returns a rendezvous' region that
// all lanes are at (their slots are in scratch memory), or -1: the group waits for the block, or has ended.
// `atOnce` false: something must be run before the group may count as whole again.
llvm::Function* emitDiverged(const LoopsParts& parts, bool& failed);

// void (ptr block). False: an invariant of the plan did not hold.
llvm::Function* emitWhole(const LoopsParts& parts, llvm::Function* diverged, bool& failed);

// Fields of Side that follow from block and group, at the builder's place.
void setGroup(Side& side, llvm::IRBuilder<>& builder, llvm::Value* group);
void setBlock(Side& side, llvm::IRBuilder<>& builder, llvm::Value* block);
// All lanes' element of an array a thread in scratch memory, as one vector.
llvm::FixedVectorType* lanesType(const Plan& plan, llvm::Type* element);

}  // namespace vgpu::jit
