#include "cpu_driver/jit/marker_code.h"

#include <llvm/IR/Intrinsics.h>

#include <cstddef>

namespace vgpu::jit {
namespace {

using kernel::BlockContext;
using kernel::LaunchContext;
using llvm::IRBuilder;
using llvm::Type;
using llvm::Value;

unsigned axisOf(Marker which, Marker first) {
  return static_cast<unsigned>(which) - static_cast<unsigned>(first);
}

}  // namespace

Value* MarkerCode::field(IRBuilder<>& builder, Value* context, size_t offset, Type* type) {
  Value* address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), context, offset);
  llvm::LoadInst* load = builder.CreateLoad(type, address);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(module_.getContext(), {}));
  return load;
}

Value* MarkerCode::dimension(IRBuilder<>& builder, Value* launch, unsigned axis) {
  const uint32_t known[] = {options_.block.x, options_.block.y, options_.block.z};
  if (known[axis] != 0) return builder.getInt32(known[axis]);
  return field(builder, launch, offsetof(LaunchContext, block) + axis * sizeof(uint32_t),
               builder.getInt32Ty());
}

llvm::FunctionCallee MarkerCode::service(const char* name, Type* result, llvm::ArrayRef<Type*> arguments) {
  auto callee = module_.getOrInsertFunction(name, llvm::FunctionType::get(result, arguments, false));
  auto* function = llvm::cast<llvm::Function>(callee.getCallee());
  function->setDoesNotThrow();
  return callee;
}

Value* MarkerCode::inRange(IRBuilder<>& builder, Value* pointer, Value* begin, Value* end) {
  Value* at = builder.CreatePtrToInt(pointer, builder.getInt64Ty());
  const auto number = [&](Value* value) {
    return value->getType()->isPointerTy() ? builder.CreatePtrToInt(value, builder.getInt64Ty()) : value;
  };
  return builder.CreateAnd(builder.CreateICmpUGE(at, number(begin)), builder.CreateICmpULT(at, number(end)));
}

Value* MarkerCode::registerValue(IRBuilder<>& builder, Marker which, const ThreadValues& values) {
  Type* i32 = builder.getInt32Ty();
  const auto axisField = [&](Value* context, size_t offset, Marker first) {
    return field(builder, context, offset + axisOf(which, first) * sizeof(uint32_t), i32);
  };
  switch (which) {
    case Marker::TidX:
    case Marker::TidY:
    case Marker::TidZ:
      return values.tid[axisOf(which, Marker::TidX)];
    case Marker::NtidX:
    case Marker::NtidY:
    case Marker::NtidZ:
      return dimension(builder, values.launch, axisOf(which, Marker::NtidX));
    case Marker::CtaidX:
    case Marker::CtaidY:
    case Marker::CtaidZ:
      return axisField(values.block, offsetof(BlockContext, index), Marker::CtaidX);
    case Marker::NctaidX:
    case Marker::NctaidY:
    case Marker::NctaidZ:
      return axisField(values.launch, offsetof(LaunchContext, grid), Marker::NctaidX);
    case Marker::LaneId:
      return values.lane;
    case Marker::WarpId:
      return values.warp;
    case Marker::NwarpId: {
      Value* threads =
          builder.CreateMul(dimension(builder, values.launch, 0), dimension(builder, values.launch, 1));
      threads = builder.CreateMul(threads, dimension(builder, values.launch, 2));
      return builder.CreateLShr(builder.CreateAdd(threads, builder.getInt32(31)), 5);
    }
    case Marker::SmId:
      return field(builder, values.block, offsetof(BlockContext, multiprocessor), i32);
    case Marker::NsmId:
      return field(builder, values.launch, offsetof(LaunchContext, multiprocessors), i32);
    case Marker::GridId:
      return field(builder, values.launch, offsetof(LaunchContext, gridId), builder.getInt64Ty());
    case Marker::GridWorkspace:
      return field(builder, values.launch, offsetof(LaunchContext, gridWorkspace), builder.getInt64Ty());
    case Marker::DynamicSharedSize:
      return field(builder, values.launch, offsetof(LaunchContext, dynamicSharedBytes), i32);
    default:
      return nullptr;
  }
}

Value* MarkerCode::addressValue(IRBuilder<>& builder, llvm::CallInst& call, Marker which,
                                const ThreadValues& values) {
  Type* pointer = builder.getPtrTy();
  Type* i64 = builder.getInt64Ty();
  switch (which) {
    case Marker::SharedBase:
      return field(builder, values.block, offsetof(BlockContext, shared), pointer);
    case Marker::ParamBase:
      return field(builder, values.launch, offsetof(LaunchContext, parameters), pointer);
    case Marker::Symbol: {
      Value* table = field(builder, values.launch, offsetof(LaunchContext, symbols), pointer);
      Value* entry = builder.CreateInBoundsGEP(pointer, table, call.getArgOperand(0));
      return field(builder, entry, 0, pointer);
    }
    case Marker::IsShared: {
      Value* base = field(builder, values.block, offsetof(BlockContext, shared), pointer);
      Value* bytes = field(builder, values.block, offsetof(BlockContext, sharedBytes), builder.getInt32Ty());
      Value* end = builder.CreateGEP(builder.getInt8Ty(), base, builder.CreateZExt(bytes, i64));
      return inRange(builder, call.getArgOperand(0), base, end);
    }
    case Marker::IsLocal:
      return inRange(builder, call.getArgOperand(0), values.localBegin, values.localEnd);
    case Marker::IsConstant:
      return inRange(builder, call.getArgOperand(0),
                     field(builder, values.launch, offsetof(LaunchContext, constantBegin), i64),
                     field(builder, values.launch, offsetof(LaunchContext, constantEnd), i64));
    default:
      return nullptr;
  }
}

Value* MarkerCode::serviceValue(IRBuilder<>& builder, llvm::CallInst& call, Marker which,
                                const ThreadValues& values) {
  Type *none = builder.getVoidTy(), *i32 = builder.getInt32Ty(), *i64 = builder.getInt64Ty(),
       *p = builder.getPtrTy();
  Type* registers = llvm::FixedVectorType::get(i32, 4);
  const auto argument = [&](unsigned i) { return call.getArgOperand(i); };
  switch (which) {
    case Marker::Clock:
      return builder.CreateIntrinsic(llvm::Intrinsic::readcyclecounter, {}, {});
    case Marker::GlobalTimer:
      return builder.CreateCall(service("vgpu_globaltimer", i64, {}));
    case Marker::Trap:
      return builder.CreateCall(service("vgpu_trap", none, {p}), {values.block});
    case Marker::AssertFail:
      return builder.CreateCall(
          service("vgpu_assertfail", none, {p, p, p, i32, p, i32}),
          {values.block, argument(0), argument(1), argument(2), argument(3), values.linear});
    case Marker::Printf:
      return builder.CreateCall(service("vgpu_printf", i32, {p, p, p}),
                                {values.block, argument(0), argument(1)});
    case Marker::Malloc:
      return builder.CreateCall(service("vgpu_malloc", p, {p, i64}), {values.block, argument(0)});
    case Marker::Free:
      return builder.CreateCall(service("vgpu_free", none, {p, p}), {values.block, argument(0)});
    case Marker::Texture:
      return builder.CreateCall(service("vgpu_texture", registers, {p, i64, i64, registers, registers}),
                                {values.block, argument(0), argument(1), argument(2), argument(3)});
    case Marker::CheckAccess: {
      Value* thread = values.thread ? values.thread : llvm::ConstantPointerNull::get(builder.getPtrTy());
      return builder.CreateCall(service("vgpu_check_access", none, {p, p, p, i64, i32, i32}),
                                {values.block, thread, argument(0), argument(1), argument(2),
                                 builder.CreateZExt(argument(3), i32)});
    }
    default:
      return nullptr;
  }
}

Value* MarkerCode::value(IRBuilder<>& builder, llvm::CallInst& call, const ThreadValues& values) {
  const Marker which = markerOf(call.getCalledFunction());
  Value* value = registerValue(builder, which, values);
  if (!value) value = addressValue(builder, call, which, values);
  return value ? value : serviceValue(builder, call, which, values);
}

bool MarkerCode::lower(llvm::CallInst& call, const ThreadValues& values) {
  IRBuilder<> builder(&call);
  Value* value = this->value(builder, call, values);
  if (!value) return false;
  if (!call.getType()->isVoidTy()) call.replaceAllUsesWith(value);
  call.eraseFromParent();
  return true;
}

}  // namespace vgpu::jit
