// After translation: registers become values, so that forms see data flow and not memory.
#include <llvm/Analysis/AliasAnalysis.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Utils/Local.h>

#include "cpu_driver/jit/translate/module_translator.h"

namespace vgpu::jit {
namespace {

constexpr size_t kMostLeaves = 32;

// Whether a NaN in `value` would be one that arithmetic made, not one that was loaded or passed through.
bool isArithmetic(llvm::Value* value) {
  llvm::SmallVector<llvm::Value*, 8> work = {value};
  llvm::SmallPtrSet<llvm::Value*, 8> seen;
  bool any = false;
  while (!work.empty()) {
    llvm::Value* v = work.pop_back_val();
    if (!seen.insert(v).second) continue;
    if (seen.size() > kMostLeaves) return false;
    if (auto* constant = llvm::dyn_cast<llvm::ConstantFP>(v)) {
      if (constant->isNaN()) return false;
    } else if (auto* phi = llvm::dyn_cast<llvm::PHINode>(v)) {
      work.append(phi->incoming_values().begin(), phi->incoming_values().end());
    } else if (auto* select = llvm::dyn_cast<llvm::SelectInst>(v)) {
      work.push_back(select->getTrueValue());
      work.push_back(select->getFalseValue());
    } else if (auto* unary = llvm::dyn_cast<llvm::UnaryOperator>(v)) {
      work.push_back(unary->getOperand(0));
    } else if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(v);
               call && call->getIntrinsicID() == llvm::Intrinsic::fabs) {
      work.push_back(call->getArgOperand(0));
    } else if (llvm::isa<llvm::BinaryOperator, llvm::FPTruncInst, llvm::IntrinsicInst>(v)) {
      any = true;
    } else {
      return false;
    }
  }
  return any;
}

// Bits that only pass to another lane are seen there.
bool onlyShuffled(const llvm::Instruction& cast) {
  for (const llvm::User* user : cast.users()) {
    if (calledMarker(*llvm::cast<llvm::Instruction>(user)) != Marker::Shuffle) return false;
  }
  return true;
}

void canonicaliseOperand(llvm::Instruction& user, unsigned index) {
  llvm::Value* value = user.getOperand(index);
  llvm::IRBuilder<> builder(&user);
  llvm::Value* nan = llvm::ConstantFP::get(
      user.getContext(), llvm::APFloat(llvm::APFloat::IEEEsingle(), llvm::APInt(32, 0x7fffffff)));
  user.setOperand(index, builder.CreateSelect(builder.CreateFCmpUNO(value, value), nan, value));
}

}  // namespace

// Arithmetic on f32 gives the NaN 0x7fffffff; the processor's is another. Only where a program can see the
// bits (a store, a register read as an integer, a conversion to f64) does it matter: there, not after every
// operation, it is replaced.
void canonicaliseNans(llvm::Function& function) {
  unsigned observed = function.getContext().getMDKindID("vgpu.observed");
  llvm::SmallVector<std::pair<llvm::Instruction*, unsigned>, 32> places;
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    llvm::Value* value = instruction.getNumOperands() > 0 ? instruction.getOperand(0) : nullptr;
    if (value == nullptr || !value->getType()->isFloatTy()) continue;
    bool seen = llvm::isa<llvm::StoreInst, llvm::FPExtInst>(instruction) ||
                (instruction.getMetadata(observed) && !onlyShuffled(instruction));
    if (seen && isArithmetic(value)) places.push_back({&instruction, 0});
  }
  for (auto [instruction, index] : places) canonicaliseOperand(*instruction, index);
}

void cleanUp(llvm::Module& module) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::PreserveCFG));
  passes.addPass(llvm::EarlyCSEPass(false));
  for (llvm::Function& function : module) {
    if (function.isDeclaration()) continue;
    llvm::removeUnreachableBlocks(function);
    passes.run(function, functions);
    canonicaliseNans(function);
    rewriteAddresses(function);
  }
}

}  // namespace vgpu::jit
