#include "cpu_driver/jit/loops_request.h"

#include "cpu_driver/kernel/loops_block.h"

namespace vgpu::jit {
namespace {

using kernel::LoopsRequest;
using kernel::LoopsWait;
using llvm::Value;

LoopsWait waitOf(Marker operation) {
  switch (operation) {
    case Marker::Barrier:
      return LoopsWait::Barrier;
    case Marker::BarrierReduce:
      return LoopsWait::Reduce;
    case Marker::WarpSync:
      return LoopsWait::Sync;
    case Marker::Shuffle:
      return LoopsWait::Shuffle;
    case Marker::Vote:
      return LoopsWait::Vote;
    case Marker::Redux:
      return LoopsWait::Redux;
    case Marker::MatchAny:
      return LoopsWait::MatchAny;
    case Marker::MatchAll:
      return LoopsWait::MatchAll;
    case Marker::Matrix:
      return LoopsWait::Matrix;
    default:
      return LoopsWait::ActiveMask;
  }
}

}  // namespace

void storeRequest(llvm::IRBuilder<>& builder, Marker operation, Value* request,
                  llvm::function_ref<Value*(unsigned)> argument) {
  const auto set = [&](size_t field, Value* value) {
    llvm::Type* type = field == offsetof(LoopsRequest, value) ? builder.getInt64Ty() : builder.getInt32Ty();
    if (value->getType()->isPointerTy()) value = builder.CreatePtrToInt(value, builder.getInt64Ty());
    builder.CreateStore(builder.CreateZExtOrTrunc(value, type),
                        builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), request, field));
  };
  const auto mode = [&](Value* value) { set(offsetof(LoopsRequest, mode), value); };
  const auto mask = [&](Value* value) { set(offsetof(LoopsRequest, mask), value); };
  const auto value = [&](Value* what) { set(offsetof(LoopsRequest, value), what); };
  const auto b = [&](Value* what) { set(offsetof(LoopsRequest, b), what); };
  const auto c = [&](Value* what) { set(offsetof(LoopsRequest, c), what); };
  Value* zero = builder.getInt32(0);
  set(offsetof(LoopsRequest, wait), builder.getInt32(static_cast<uint32_t>(waitOf(operation))));
  switch (operation) {
    case Marker::Barrier:
      mode(zero), value(zero), b(argument(0)), c(argument(1));
      break;
    case Marker::BarrierReduce:
      mode(argument(0)), b(argument(1)), c(argument(2)), value(argument(3));
      break;
    case Marker::WarpSync:
      mode(zero), mask(argument(0));
      break;
    case Marker::Shuffle:
      mode(argument(0)), mask(argument(1)), value(argument(2)), b(argument(3)), c(argument(4));
      break;
    case Marker::Vote:
    case Marker::Redux:
      mode(argument(0)), mask(argument(1)), value(argument(2));
      break;
    case Marker::MatchAny:
    case Marker::MatchAll:
      mode(zero), mask(argument(0)), value(argument(1));
      break;
    case Marker::Matrix:
      mode(zero), mask(builder.getInt32(~0u)), value(argument(1));
      b(argument(0)), c(builder.CreateLShr(argument(0), 32));
      break;
    default:
      break;
  }
}

}  // namespace vgpu::jit
