// Values that are affine in the lane.
#include "cpu_driver/jit/loops_region.h"

namespace vgpu::jit {

using llvm::Instruction;
using llvm::IRBuilder;
using llvm::Type;
using llvm::Value;

// A 32-bit value as uniform + lane * perLane.
std::optional<Region::Affine> Region::affine(const Value* value) {
  if (plan_.isScalar(value)) return Affine{scalar(value), 0, false};
  const auto* instruction = llvm::dyn_cast<Instruction>(value);
  if (!instruction || plan_.recomputed.count(value) == 0) return std::nullopt;
  if (calledMarker(*instruction) == Marker::TidX && plan_.shape.rows) return Affine{side_.firstX, 1, true};
  const auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(instruction);
  if (!binary) return std::nullopt;
  const auto opcode = binary->getOpcode();
  const auto* disjoint = llvm::dyn_cast<llvm::PossiblyDisjointInst>(binary);
  const bool adds = opcode == Instruction::Add || (disjoint && disjoint->isDisjoint());
  const auto* factor = llvm::dyn_cast<llvm::ConstantInt>(binary->getOperand(1));
  IRBuilder<>& code = scalarCode_;
  if (adds || opcode == Instruction::Sub) {
    const auto left = affine(binary->getOperand(0)), right = affine(binary->getOperand(1));
    if (!left || !right) return std::nullopt;
    Value* uniform =
        adds ? code.CreateAdd(left->uniform, right->uniform) : code.CreateSub(left->uniform, right->uniform);
    return Affine{uniform, adds ? left->perLane + right->perLane : left->perLane - right->perLane, false};
  }
  if (!factor || (opcode != Instruction::Mul && opcode != Instruction::Shl)) return std::nullopt;
  const auto left = affine(binary->getOperand(0));
  const int64_t by = opcode == Instruction::Mul
                         ? factor->getSExtValue()
                         : int64_t{1} << std::min<uint64_t>(factor->getZExtValue(), 31);
  if (!left || std::abs(left->perLane * by) > (1 << 20)) return std::nullopt;
  return Affine{code.CreateMul(left->uniform, code.getInt32(static_cast<uint32_t>(by))), left->perLane * by,
                false};
}

// sext or zext to 64 bits of an affine value, kept affine: right unless the 32-bit value wraps around within
// the group, which a guard finds; the group runs as a diverged one then.
Value* Region::extendAffine(const llvm::CastInst& cast) {
  const bool isSigned = cast.getOpcode() == Instruction::SExt;
  if (!isSigned && cast.getOpcode() != Instruction::ZExt) return nullptr;
  if (!cast.getType()->isIntegerTy(64) || !cast.getSrcTy()->isIntegerTy(32)) return nullptr;
  const auto form = affine(cast.getOperand(0));
  if (!form) return nullptr;
  IRBuilder<>& code = scalarCode_;
  Type* i64 = code.getInt64Ty();
  Value* wide = isSigned ? code.CreateSExt(form->uniform, i64) : code.CreateZExt(form->uniform, i64);
  if (!form->bounded && form->perLane != 0) {
    Value* last =
        code.CreateAdd(wide, code.getInt64(static_cast<uint64_t>(form->perLane * (plan_.shape.size - 1))));
    Value* narrow = code.CreateTrunc(last, code.getInt32Ty());
    Value* same =
        code.CreateICmpEQ(isSigned ? code.CreateSExt(narrow, i64) : code.CreateZExt(narrow, i64), last);
    guard_ = guard_ ? code.CreateAnd(guard_, same) : same;
  }
  Value* step =
      laneCode_.CreateMul(lane_, laneCode_.getInt64(static_cast<uint64_t>(form->perLane)), "", false, true);
  return laneCode_.CreateAdd(wide, step, "", false, true);
}

}  // namespace vgpu::jit
