// Special registers.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {
namespace {

using ptx::SpecialRegister;

Marker positionMarker(SpecialRegister which) {
  switch (which) {
    case SpecialRegister::TidX:
      return Marker::TidX;
    case SpecialRegister::TidY:
      return Marker::TidY;
    case SpecialRegister::TidZ:
      return Marker::TidZ;
    case SpecialRegister::NtidX:
      return Marker::NtidX;
    case SpecialRegister::NtidY:
      return Marker::NtidY;
    case SpecialRegister::NtidZ:
      return Marker::NtidZ;
    // Clusters have one block: where a block is in the grid of clusters is where it is in the grid.
    case SpecialRegister::CtaidX:
    case SpecialRegister::ClusterIdX:
      return Marker::CtaidX;
    case SpecialRegister::CtaidY:
    case SpecialRegister::ClusterIdY:
      return Marker::CtaidY;
    case SpecialRegister::CtaidZ:
    case SpecialRegister::ClusterIdZ:
      return Marker::CtaidZ;
    case SpecialRegister::NctaidX:
    case SpecialRegister::NclusterIdX:
      return Marker::NctaidX;
    case SpecialRegister::NctaidY:
    case SpecialRegister::NclusterIdY:
      return Marker::NctaidY;
    case SpecialRegister::NctaidZ:
    case SpecialRegister::NclusterIdZ:
      return Marker::NctaidZ;
    case SpecialRegister::LaneId:
      return Marker::LaneId;
    case SpecialRegister::WarpId:
      return Marker::WarpId;
    case SpecialRegister::NwarpId:
      return Marker::NwarpId;
    case SpecialRegister::SmId:
      return Marker::SmId;
    case SpecialRegister::NsmId:
      return Marker::NsmId;
    case SpecialRegister::GridId:
      return Marker::GridId;
    case SpecialRegister::DynamicSmemSize:
      return Marker::DynamicSharedSize;
    default:
      return Marker::Count;
  }
}

}  // namespace

llvm::Value* FunctionTranslator::laneMask(SpecialRegister which) {
  Value* own = builder_.CreateShl(i32(1), mark(Marker::LaneId));
  Value* below = builder_.CreateSub(own, i32(1));
  switch (which) {
    case SpecialRegister::LaneMaskEq:
      return own;
    case SpecialRegister::LaneMaskLt:
      return below;
    case SpecialRegister::LaneMaskLe:
      return builder_.CreateOr(below, own);
    case SpecialRegister::LaneMaskGe:
      return builder_.CreateNot(below);
    default:
      return builder_.CreateNot(builder_.CreateOr(below, own));
  }
}

llvm::Value* FunctionTranslator::specialRegister(const Instruction& i, const Operand& operand) {
  auto which = SpecialRegister(operand.index);
  if (Marker known = positionMarker(which); known != Marker::Count) return mark(known);
  auto upper = [&](Value* value) {
    return builder_.CreateTrunc(builder_.CreateLShr(value, 32), intType(32));
  };
  auto lower = [&](Value* value) { return builder_.CreateTrunc(value, intType(32)); };
  switch (which) {
    case SpecialRegister::TidW:
    case SpecialRegister::CtaidW:
      return i32(0);
    case SpecialRegister::NtidW:
    case SpecialRegister::NctaidW:
      return i32(1);
    case SpecialRegister::LaneMaskEq:
    case SpecialRegister::LaneMaskLe:
    case SpecialRegister::LaneMaskLt:
    case SpecialRegister::LaneMaskGe:
    case SpecialRegister::LaneMaskGt:
      return laneMask(which);
    case SpecialRegister::Clock:
      return lower(mark(Marker::Clock));
    case SpecialRegister::ClockHi:
      return upper(mark(Marker::Clock));
    case SpecialRegister::Clock64:
      return mark(Marker::Clock);
    case SpecialRegister::GlobalTimer:
      return mark(Marker::GlobalTimer);
    case SpecialRegister::GlobalTimerLo:
      return lower(mark(Marker::GlobalTimer));
    case SpecialRegister::GlobalTimerHi:
      return upper(mark(Marker::GlobalTimer));
    case SpecialRegister::WarpSize:
      return i32(32);
    case SpecialRegister::EnvReg:
      // 1 and 2 hold the address of a cooperative grid's workspace; the others are a driver's own.
      if (operand.bits == 1) return upper(mark(Marker::GridWorkspace));
      if (operand.bits == 2) return lower(mark(Marker::GridWorkspace));
      return i32(0);
    case SpecialRegister::TotalSmemSize:
    case SpecialRegister::AggrSmemSize:
      return builder_.CreateAdd(mark(Marker::DynamicSharedSize),
                                i32(module_.resources().dynamicSharedOffset));
    case SpecialRegister::CurrentGraphExec:
      return builder_.getInt64(0);
    case SpecialRegister::IsExplicitCluster:
      return builder_.getFalse();
    case SpecialRegister::ClusterCtaidX:
    case SpecialRegister::ClusterCtaidY:
    case SpecialRegister::ClusterCtaidZ:
    case SpecialRegister::ClusterCtaRank:
      return i32(0);
    case SpecialRegister::ClusterNctaidX:
    case SpecialRegister::ClusterNctaidY:
    case SpecialRegister::ClusterNctaidZ:
    case SpecialRegister::ClusterNctaRank:
      return i32(1);
    case SpecialRegister::ReservedSmemBegin:
    case SpecialRegister::ReservedSmem1:
      return i32(module_.resources().reservedSharedOffset);
    case SpecialRegister::ReservedSmemEnd:
      return i32(module_.resources().reservedSharedOffset + ptx::kReservedSharedBytes);
    case SpecialRegister::ReservedSmemCap:
      return i32(ptx::kReservedSharedBytes);
    default:
      unsupported(i, "a special register of this name");
      return i32(0);
  }
}

}  // namespace vgpu::jit
