#include "cpu_driver/jit/loops_uniform.h"

#include <llvm/ADT/GenericUniformityImpl.h>
#include <llvm/Analysis/CycleAnalysis.h>
#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/Analysis/TargetTransformInfoImpl.h>
#include <llvm/Analysis/UniformityAnalysis.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/InstIterator.h>

namespace vgpu::jit {
namespace {

bool markerDiverges(Marker which, const GroupShape& shape) {
  switch (which) {
    case Marker::TidX:
    case Marker::LaneId:
      return shape.size > 1;
    case Marker::TidY:
    case Marker::TidZ:
      return !shape.rows;
    case Marker::WarpId:
      return shape.rows && shape.size != kernel::kWarpSize;
    case Marker::NtidX:
    case Marker::NtidY:
    case Marker::NtidZ:
    case Marker::CtaidX:
    case Marker::CtaidY:
    case Marker::CtaidZ:
    case Marker::NctaidX:
    case Marker::NctaidY:
    case Marker::NctaidZ:
    case Marker::NwarpId:
    case Marker::SmId:
    case Marker::NsmId:
    case Marker::GridId:
    case Marker::GridWorkspace:
    case Marker::DynamicSharedSize:
    case Marker::SharedBase:
    case Marker::ParamBase:
    case Marker::Symbol:
    case Marker::IsShared:
    case Marker::IsLocal:
    case Marker::IsConstant:
      return false;  // of their operands only
    default:
      return true;
  }
}

// A processor without divergence of its own, but for the sources that the group's shape makes.
class Sources final : public llvm::TargetTransformInfoImplCRTPBase<Sources> {
  using Base = llvm::TargetTransformInfoImplCRTPBase<Sources>;

 public:
  Sources(const llvm::DataLayout& layout, const GroupShape& shape) : Base(layout), shape_(shape) {}

  bool hasBranchDivergence(const llvm::Function* = nullptr) const { return true; }
  bool isAlwaysUniform(const llvm::Value*) const { return false; }
  bool isSourceOfDivergence(const llvm::Value* value) const {
    const auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
    if (!instruction) return false;
    if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(instruction))
      return !load->hasMetadata(llvm::LLVMContext::MD_invariant_load);
    if (llvm::isa<llvm::AllocaInst, llvm::AtomicRMWInst, llvm::AtomicCmpXchgInst>(instruction)) return true;
    const auto* call = llvm::dyn_cast<llvm::CallInst>(instruction);
    if (!call) return false;
    const Marker which = calledMarker(*call);
    if (which != Marker::Count) return markerDiverges(which, shape_);
    return call->mayReadOrWriteMemory();
  }

 private:
  const GroupShape& shape_;
};

}  // namespace

llvm::DenseSet<const llvm::Value*> divergentValues(llvm::Function& function, const GroupShape& shape) {
  llvm::DominatorTree dominators(function);
  llvm::CycleInfo cycles;
  cycles.compute(function);
  llvm::TargetTransformInfo target(Sources(function.getDataLayout(), shape));
  llvm::UniformityInfo uniformity(dominators, cycles, &target);
  uniformity.compute();
  llvm::DenseSet<const llvm::Value*> divergent;
  for (const llvm::Instruction& instruction : llvm::instructions(function)) {
    if (uniformity.isDivergent(&instruction)) divergent.insert(&instruction);
  }
  return divergent;
}

}  // namespace vgpu::jit
