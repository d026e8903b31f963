#include "cpu_driver/jit/loops_affine.h"

#include <bit>

#include "cpu_driver/jit/loops_region.h"

namespace vgpu::jit {

using llvm::Instruction;
using llvm::IRBuilder;
using llvm::Type;
using llvm::Value;

namespace {

// Small enough that a group's lanes wrap around once at most.
std::optional<int64_t> bounded(int64_t growth) {
  constexpr int64_t kMax = 1 << 20;
  return std::abs(growth) <= kMax ? std::optional(growth) : std::nullopt;
}

bool isIndexType(const Type* type) { return type->isIntegerTy(32) || type->isIntegerTy(64); }

// tid & (2^n - 1) and tid >> n, where a group never lies across a multiple of 2^n.
std::optional<int64_t> growthOfPart(const Plan& plan, const llvm::BinaryOperator& binary) {
  const auto* tid = llvm::dyn_cast<Instruction>(binary.getOperand(0));
  const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(binary.getOperand(1));
  if (!tid || !constant || calledMarker(*tid) != Marker::TidX || !plan.shape.rows) return std::nullopt;
  const uint64_t number = constant->getZExtValue();
  if (binary.getOpcode() == Instruction::And)
    return std::has_single_bit(number + 1) && (number + 1) % plan.shape.size == 0 ? std::optional<int64_t>(1)
                                                                                  : std::nullopt;
  return number < 31 && (uint64_t{1} << number) % plan.shape.size == 0 ? std::optional<int64_t>(0)
                                                                       : std::nullopt;
}

std::optional<int64_t> growthOfBinary(const Plan& plan, const llvm::BinaryOperator& binary) {
  const auto opcode = binary.getOpcode();
  if (opcode == Instruction::And || opcode == Instruction::LShr) return growthOfPart(plan, binary);
  const auto* disjoint = llvm::dyn_cast<llvm::PossiblyDisjointInst>(&binary);
  const bool adds = opcode == Instruction::Add || (disjoint && disjoint->isDisjoint());
  const auto left = growthByLane(plan, binary.getOperand(0));
  if (!left) return std::nullopt;
  if (adds || opcode == Instruction::Sub) {
    const auto right = growthByLane(plan, binary.getOperand(1));
    return right ? bounded(adds ? *left + *right : *left - *right) : std::nullopt;
  }
  const auto* factor = llvm::dyn_cast<llvm::ConstantInt>(binary.getOperand(1));
  if (!factor || (opcode != Instruction::Mul && opcode != Instruction::Shl)) return std::nullopt;
  const int64_t by = opcode == Instruction::Mul
                         ? factor->getSExtValue()
                         : int64_t{1} << std::min<uint64_t>(factor->getZExtValue(), 31);
  return bounded(by) ? bounded(*left * by) : std::nullopt;
}

bool isNegation(const Instruction& instruction) {
  return instruction.getOpcode() == Instruction::Xor &&
         llvm::isa<llvm::ConstantInt>(instruction.getOperand(1)) &&
         llvm::cast<llvm::ConstantInt>(instruction.getOperand(1))->isOne();
}

struct Connective {
  const Value *left = nullptr, *right = nullptr;
  bool isAnd = false;
};

// `and` and `or` of conditions, also in the form of a select.
std::optional<Connective> connective(const Instruction& instruction) {
  const auto opcode = instruction.getOpcode();
  if (opcode == Instruction::And || opcode == Instruction::Or)
    return Connective{instruction.getOperand(0), instruction.getOperand(1), opcode == Instruction::And};
  const auto* select = llvm::dyn_cast<llvm::SelectInst>(&instruction);
  if (!select) return std::nullopt;
  const auto *yes = llvm::dyn_cast<llvm::ConstantInt>(select->getTrueValue()),
             *no = llvm::dyn_cast<llvm::ConstantInt>(select->getFalseValue());
  if (no && no->isZero()) return Connective{select->getCondition(), select->getTrueValue(), true};
  if (yes && yes->isOne()) return Connective{select->getCondition(), select->getFalseValue(), false};
  return std::nullopt;
}

bool mayCompare(const Plan& plan, const llvm::ICmpInst& compare) {
  const auto left = growthByLane(plan, compare.getOperand(0)),
             right = growthByLane(plan, compare.getOperand(1));
  if (!left || !right) return false;
  if (compare.isEquality()) return std::abs(*left - *right) <= 1;
  return *left == 0 || *right == 0;
}

}  // namespace

bool isThreadIndex(const Plan& plan, const Value* value) {
  const auto* instruction = llvm::dyn_cast<Instruction>(value);
  if (!instruction) return false;
  if (llvm::isa<llvm::ZExtInst, llvm::SExtInst>(instruction))
    return isThreadIndex(plan, instruction->getOperand(0));
  const Marker which = calledMarker(*instruction);
  return (which == Marker::TidX && plan.shape.rows) ||
         (which == Marker::LaneId && plan.shape.isWarp(plan.block));
}

std::optional<int64_t> growthByLane(const Plan& plan, const Value* value) {
  if (!isIndexType(value->getType())) return std::nullopt;
  if (plan.isScalar(value)) return 0;
  const auto* instruction = llvm::dyn_cast<Instruction>(value);
  if (!instruction || plan.recomputed.count(value) == 0) return std::nullopt;
  if (llvm::isa<llvm::ZExtInst, llvm::SExtInst, llvm::TruncInst>(instruction))
    return growthByLane(plan, instruction->getOperand(0));
  if (isThreadIndex(plan, value)) return 1;
  const auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(instruction);
  return binary ? growthOfBinary(plan, *binary) : std::nullopt;
}

bool mayAgree(const Plan& plan, const Value* condition) {
  if (plan.isScalar(condition)) return true;
  const auto* instruction = llvm::dyn_cast<Instruction>(condition);
  if (!instruction || plan.recomputed.count(condition) == 0 || !condition->getType()->isIntegerTy(1))
    return false;
  if (const auto* compare = llvm::dyn_cast<llvm::ICmpInst>(instruction)) return mayCompare(plan, *compare);
  if (isNegation(*instruction)) return mayAgree(plan, instruction->getOperand(0));
  const auto both = connective(*instruction);
  return both && mayAgree(plan, both->left) && mayAgree(plan, both->right);
}

// The value in the group's first lane. An extension of what may wrap around within the group has a guard:
// where that fails, the group runs as a diverged one.
Value* Region::inFirstLane(const Value* value) {
  if (plan_.isScalar(value)) return scalar(value);
  if (const auto found = firstLane_.find(value); found != firstLane_.end()) return found->second;
  const auto& instruction = *llvm::cast<Instruction>(value);
  Value* made = nullptr;
  if (calledMarker(instruction) == Marker::TidX) {
    made = side_.firstX;
  } else if (calledMarker(instruction) == Marker::LaneId) {
    made = scalarCode_.getInt32(0);
  } else {
    Instruction* copy = instruction.clone();
    copy->dropPoisonGeneratingFlags();
    copy->setMetadata(llvm::LLVMContext::MD_dbg, nullptr);
    for (llvm::Use& operand : copy->operands()) operand.set(inFirstLane(operand.get()));
    made = scalarCode_.Insert(copy);
    if (llvm::isa<llvm::ZExtInst, llvm::SExtInst>(copy) && !isThreadIndex(plan_, value))
      guardExtension(instruction, made);
  }
  return firstLane_[value] = made;
}

void Region::guardExtension(const Instruction& extension, Value* first) {
  const int64_t growth = growthByLane(plan_, extension.getOperand(0)).value_or(0);
  if (growth == 0) return;
  IRBuilder<>& code = scalarCode_;
  Type *narrow = extension.getOperand(0)->getType(), *wide = extension.getType();
  Value* last = code.CreateAdd(first, llvm::ConstantInt::getSigned(wide, growth * (plan_.shape.size - 1)));
  Value* again = code.CreateTrunc(last, narrow);
  again = llvm::isa<llvm::SExtInst>(extension) ? code.CreateSExt(again, wide) : code.CreateZExt(again, wide);
  Value* same = code.CreateICmpEQ(again, last);
  guard_ = guard_ ? code.CreateAnd(guard_, same) : same;
}

// An affine value of this lane, in a form that LLVM sees through. Null: it is not affine.
Value* Region::affineInLane(const Instruction& instruction) {
  const auto growth = growthByLane(plan_, &instruction);
  if (!growth) return nullptr;
  Value* first = inFirstLane(&instruction);
  if (*growth == 0) return first;
  Value* lane = instruction.getType()->isIntegerTy(64) ? lane_ : lane32_;
  Value* step =
      laneCode_.CreateMul(lane, llvm::ConstantInt::getSigned(lane->getType(), *growth), "", false, true);
  return laneCode_.CreateAdd(first, step, "", false, instruction.getType()->isIntegerTy(64));
}

// What two lanes say about all: that the condition holds in each, or in none. Neither may be known.
std::optional<Region::Agreement> Region::agreement(const Value* condition) {
  IRBuilder<>& code = scalarCode_;
  if (!mayAgree(plan_, condition)) return std::nullopt;
  if (plan_.isScalar(condition)) {
    Value* value = scalar(condition);
    return Agreement{value, code.CreateNot(value)};
  }
  const auto* instruction = llvm::cast<Instruction>(condition);
  if (const auto* compare = llvm::dyn_cast<llvm::ICmpInst>(instruction))
    return compare->isEquality() ? agreementOfEquality(*compare) : agreementOfOrder(*compare);
  if (isNegation(*instruction)) {
    const auto inner = agreement(instruction->getOperand(0));
    return Agreement{inner->none, inner->all};
  }
  const auto both = connective(*instruction);
  const auto left = agreement(both->left), right = agreement(both->right);
  if (both->isAnd)
    return Agreement{code.CreateAnd(left->all, right->all), code.CreateOr(left->none, right->none)};
  return Agreement{code.CreateOr(left->all, right->all), code.CreateAnd(left->none, right->none)};
}

// Two values that draw nearer by one a lane meet in one lane at most.
Region::Agreement Region::agreementOfEquality(const llvm::ICmpInst& compare) {
  IRBuilder<>& code = scalarCode_;
  const int64_t nearer =
      *growthByLane(plan_, compare.getOperand(0)) - *growthByLane(plan_, compare.getOperand(1));
  Value *left = inFirstLane(compare.getOperand(0)), *right = inFirstLane(compare.getOperand(1));
  Agreement equal;
  if (nearer == 0) {
    equal.all = code.CreateICmpEQ(left, right);
    equal.none = code.CreateNot(equal.all);
  } else {
    Value* lane = nearer > 0 ? code.CreateSub(right, left) : code.CreateSub(left, right);
    Value* meets = code.CreateICmpULT(lane, llvm::ConstantInt::get(lane->getType(), plan_.shape.size));
    equal.all = plan_.shape.size == 1 ? meets : code.getFalse();
    equal.none = code.CreateNot(meets);
  }
  if (compare.getPredicate() == llvm::CmpInst::ICMP_NE) std::swap(equal.all, equal.none);
  return equal;
}

// The lanes' values are in order, unless they wrap around: first and last lane decide.
Region::Agreement Region::agreementOfOrder(const llvm::ICmpInst& compare) {
  IRBuilder<>& code = scalarCode_;
  auto predicate = compare.getPredicate();
  const Value *moving = compare.getOperand(0), *still = compare.getOperand(1);
  if (*growthByLane(plan_, moving) == 0) {
    std::swap(moving, still);
    predicate = llvm::CmpInst::getSwappedPredicate(predicate);
  }
  const int64_t growth = *growthByLane(plan_, moving);
  Value *low = inFirstLane(moving), *bound = inFirstLane(still);
  Value* high =
      code.CreateAdd(low, llvm::ConstantInt::getSigned(low->getType(), growth * (plan_.shape.size - 1)));
  if (growth < 0) std::swap(low, high);
  Value *atLow = code.CreateICmp(predicate, low, bound), *atHigh = code.CreateICmp(predicate, high, bound);
  const bool holdsBelow = llvm::ICmpInst::isLT(predicate) || llvm::ICmpInst::isLE(predicate);
  Agreement order{holdsBelow ? atHigh : atLow, code.CreateNot(holdsBelow ? atLow : atHigh)};
  if (growth == 0 || isThreadIndex(plan_, moving)) return order;
  Value* inOrder = compare.isSigned() ? code.CreateICmpSLE(low, high) : code.CreateICmpULE(low, high);
  return {code.CreateAnd(inOrder, order.all), code.CreateAnd(inOrder, order.none)};
}

// A condition that may agree, in each lane: <size x i1>.
Value* Region::inAllLanes(IRBuilder<>& builder, const Value* value) {
  const unsigned size = plan_.shape.size;
  if (plan_.isScalar(value)) return builder.CreateVectorSplat(size, scalar(value));
  const auto& instruction = *llvm::cast<Instruction>(value);
  if (const auto growth = growthByLane(plan_, value)) {
    std::vector<llvm::Constant*> steps;
    for (unsigned lane = 0; lane < size; ++lane)
      steps.push_back(llvm::ConstantInt::getSigned(value->getType(), *growth * static_cast<int64_t>(lane)));
    return builder.CreateAdd(builder.CreateVectorSplat(size, inFirstLane(value)),
                             llvm::ConstantVector::get(steps));
  }
  if (const auto* compare = llvm::dyn_cast<llvm::ICmpInst>(&instruction))
    return builder.CreateICmp(compare->getPredicate(), inAllLanes(builder, compare->getOperand(0)),
                              inAllLanes(builder, compare->getOperand(1)));
  if (isNegation(instruction)) return builder.CreateNot(inAllLanes(builder, instruction.getOperand(0)));
  const auto both = connective(instruction);
  Value *left = inAllLanes(builder, both->left), *right = inAllLanes(builder, both->right);
  return both->isAnd ? builder.CreateAnd(left, right) : builder.CreateOr(left, right);
}

}  // namespace vgpu::jit
