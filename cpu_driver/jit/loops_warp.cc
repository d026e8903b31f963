#include "cpu_driver/jit/loops_warp.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/Intrinsics.h>

namespace vgpu::jit {
namespace {

using llvm::IRBuilder;
using llvm::Value;

constexpr unsigned kLanes = 32;

Value* lanesOf(IRBuilder<>& builder, Value* value) {
  return value->getType()->isVectorTy() ? value : builder.CreateVectorSplat(kLanes, value);
}

Value* laneNumbers(IRBuilder<>& builder) {
  std::vector<llvm::Constant*> numbers;
  for (unsigned lane = 0; lane < kLanes; ++lane) numbers.push_back(builder.getInt32(lane));
  return llvm::ConstantVector::get(numbers);
}

// values[source[lane]]. Known sources are a shuffle of registers; others go through memory.
Value* permute(IRBuilder<>& builder, Value* values, Value* source) {
  auto* type = llvm::cast<llvm::FixedVectorType>(values->getType());
  if (auto* known = llvm::dyn_cast<llvm::Constant>(source)) {
    std::vector<int> mask;
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const auto* index = llvm::dyn_cast_or_null<llvm::ConstantInt>(known->getAggregateElement(lane));
      mask.push_back(index ? static_cast<int>(index->getZExtValue() % kLanes) : 0);
    }
    return builder.CreateShuffleVector(values, mask);
  }
  llvm::Function* function = builder.GetInsertBlock()->getParent();
  IRBuilder<> entry(&*function->getEntryBlock().getFirstInsertionPt());
  auto* memory = entry.CreateAlloca(type);
  memory->setAlignment(llvm::Align(64));
  builder.CreateStore(values, memory);
  Value* wide = builder.CreateZExt(source, llvm::FixedVectorType::get(builder.getInt64Ty(), kLanes));
  Value* addresses = builder.CreateGEP(type->getElementType(), memory, wide);
  return builder.CreateMaskedGather(type, addresses, llvm::Align(4));
}

// PTX ISA, shfl.sync.
WarpResult shuffle(IRBuilder<>& builder, const std::vector<Value*>& operands) {
  const auto mode = llvm::cast<llvm::ConstantInt>(operands[0])->getZExtValue();
  Value *values = lanesOf(builder, operands[2]), *lanes = laneNumbers(builder);
  Value* b = builder.CreateAnd(lanesOf(builder, operands[3]), lanesOf(builder, builder.getInt32(31)));
  Value* c = lanesOf(builder, operands[4]);
  Value* low = lanesOf(builder, builder.getInt32(31));
  Value* segment = builder.CreateAnd(builder.CreateLShr(c, lanesOf(builder, builder.getInt32(8))), low);
  Value* outside = builder.CreateAnd(builder.CreateNot(segment), low);
  Value* minLane = builder.CreateAnd(lanes, segment);
  Value* maxLane = builder.CreateOr(minLane, builder.CreateAnd(builder.CreateAnd(c, low), outside));
  Value *source = nullptr, *inside = nullptr;
  switch (static_cast<ShuffleMode>(mode)) {
    case ShuffleMode::Up:
      source = builder.CreateSub(lanes, b);
      inside = builder.CreateICmpSGE(source, maxLane);
      break;
    case ShuffleMode::Down:
      source = builder.CreateAdd(lanes, b);
      inside = builder.CreateICmpULE(source, maxLane);
      break;
    case ShuffleMode::Bfly:
      source = builder.CreateXor(lanes, b);
      inside = builder.CreateICmpULE(source, maxLane);
      break;
    case ShuffleMode::Idx:
      source = builder.CreateOr(minLane, builder.CreateAnd(b, outside));
      inside = builder.CreateICmpULE(source, maxLane);
      break;
  }
  source = builder.CreateSelect(inside, source, lanes);
  Value* predicates = builder.CreateZExt(inside, llvm::FixedVectorType::get(builder.getInt8Ty(), kLanes));
  return {permute(builder, values, source), predicates};
}

WarpResult vote(IRBuilder<>& builder, const std::vector<Value*>& operands) {
  const auto mode = llvm::cast<llvm::ConstantInt>(operands[0])->getZExtValue();
  Value* predicates = lanesOf(builder, operands[2]);
  if (!predicates->getType()->getScalarType()->isIntegerTy(1))
    predicates = builder.CreateICmpNE(predicates, llvm::Constant::getNullValue(predicates->getType()));
  Value* ballot = builder.CreateBitCast(predicates, builder.getInt32Ty());
  Value *none = builder.CreateICmpEQ(ballot, builder.getInt32(0)),
        *all = builder.CreateICmpEQ(ballot, builder.getInt32(-1u));
  Value* result = ballot;
  switch (static_cast<VoteMode>(mode)) {
    case VoteMode::Ballot:
      break;
    case VoteMode::All:
      result = builder.CreateZExt(all, builder.getInt32Ty());
      break;
    case VoteMode::Any:
      result = builder.CreateZExt(builder.CreateNot(none), builder.getInt32Ty());
      break;
    case VoteMode::Uni:
      result = builder.CreateZExt(builder.CreateOr(none, all), builder.getInt32Ty());
      break;
  }
  return {lanesOf(builder, result), nullptr};
}

WarpResult redux(IRBuilder<>& builder, const std::vector<Value*>& operands) {
  const auto operation = llvm::cast<llvm::ConstantInt>(operands[0])->getZExtValue();
  Value* values = lanesOf(builder, operands[2]);
  Value* result = nullptr;
  switch (static_cast<ReduxOperation>(operation)) {
    case ReduxOperation::Add:
      result = builder.CreateAddReduce(values);
      break;
    case ReduxOperation::MinSigned:
      result = builder.CreateIntMinReduce(values, true);
      break;
    case ReduxOperation::MaxSigned:
      result = builder.CreateIntMaxReduce(values, true);
      break;
    case ReduxOperation::MinUnsigned:
      result = builder.CreateIntMinReduce(values, false);
      break;
    case ReduxOperation::MaxUnsigned:
      result = builder.CreateIntMaxReduce(values, false);
      break;
    case ReduxOperation::And:
      result = builder.CreateAndReduce(values);
      break;
    case ReduxOperation::Or:
      result = builder.CreateOrReduce(values);
      break;
    case ReduxOperation::Xor:
      result = builder.CreateXorReduce(values);
      break;
  }
  return {lanesOf(builder, result), nullptr};
}

}  // namespace

bool inlineWarpOperation(Marker which) {
  return which == Marker::Shuffle || which == Marker::Vote || which == Marker::Redux ||
         which == Marker::WarpSync || which == Marker::ActiveMask;
}

unsigned maskArgument(Marker which) { return which == Marker::WarpSync ? 0 : 1; }

Value* namesAllLanes(IRBuilder<>& builder, Value* mask) {
  if (mask->getType()->isVectorTy()) mask = builder.CreateAndReduce(mask);
  return builder.CreateICmpEQ(mask, builder.getInt32(-1u));
}

WarpResult emitWarpOperation(IRBuilder<>& builder, Marker which, const std::vector<Value*>& operands) {
  switch (which) {
    case Marker::Shuffle:
      return shuffle(builder, operands);
    case Marker::Vote:
      return vote(builder, operands);
    case Marker::Redux:
      return redux(builder, operands);
    case Marker::ActiveMask:
      return {lanesOf(builder, builder.getInt32(-1u)), nullptr};
    default:
      return {};
  }
}

}  // namespace vgpu::jit
