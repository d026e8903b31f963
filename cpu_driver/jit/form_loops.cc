// The loops form: regions between points become loops over the lanes of a group, which LLVM vectorises. See
// loops_plan.h.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include "cpu_driver/jit/loops_functions.h"
#include "cpu_driver/jit/pipeline.h"
#include "cpu_driver/jit/shared_atomics.h"

namespace vgpu::jit {
namespace {

// `exit` in an inlined function ends the thread: after vgpu.exit nothing of it is left to run.
void exitsReturn(llvm::Function& function) {
  std::vector<llvm::CallInst*> exits;
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    if (calledMarker(instruction) == Marker::Exit) exits.push_back(llvm::cast<llvm::CallInst>(&instruction));
  }
  for (llvm::CallInst* call : exits) {
    llvm::BasicBlock* block = call->getParent();
    llvm::BasicBlock* rest = llvm::SplitBlock(block, call->getIterator());
    block->getTerminator()->eraseFromParent();
    llvm::ReturnInst::Create(function.getContext(), block);
    llvm::DeleteDeadBlock(rest);
  }
}

}  // namespace

std::optional<Lowered> lowerToLoops(ThreadFunction& function, const FormOptions& options,
                                    llvm::TargetMachine& target, std::string& why) {
  llvm::Module& module = *function.module;
  inlineAll(module, target);
  llvm::Function* thread = module.getFunction(function.entry);
  exitsReturn(*thread);
  simplifyForLoops(module, target);
  makeSharedAtomicsPlain(*thread);
  Plan plan;
  if (!makePlan(plan, *thread, options, target, why)) return std::nullopt;
  const LoopsLayout layout(plan, module.getDataLayout());
  constexpr uint32_t kMaxScratchBytes = 256u << 20;
  if (layout.bytes > kMaxScratchBytes) return why = "too much local memory", std::nullopt;

  MarkerCode code(module, options);
  const LoopsParts parts{plan, layout, code, module, llvm::MDNode::getDistinct(module.getContext(), {})};
  bool failed = false;
  llvm::Function* diverged = emitDiverged(parts, failed);
  emitWhole(parts, diverged, failed);
  thread->eraseFromParent();
  if (failed) return why = "a value is not where the form expects it", std::nullopt;
  Lowered lowered;
  lowered.form = kernel::Form::Loops;
  lowered.scratchBytes = layout.bytes;
  lowered.block = options.block;
  return lowered;
}

}  // namespace vgpu::jit
