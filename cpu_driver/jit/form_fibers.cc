// The fibers form: the thread function stays as it is, markers become loads from its ThreadContext and calls
// of services. Any control flow, recursion and spinning work, because every thread has a stack of its own.
#include <llvm/IR/InstIterator.h>

#include <vector>

#include "cpu_driver/jit/marker_code.h"

namespace vgpu::jit {
namespace {

using kernel::ThreadContext;
using llvm::CallInst;
using llvm::Function;
using llvm::IRBuilder;
using llvm::Type;
using llvm::Value;

class FiberLowering {
 public:
  FiberLowering(llvm::Module& module, const FormOptions& options) : code_(module, options) {}

  void lower(Function& function) {
    std::vector<CallInst*> calls;
    for (llvm::Instruction& instruction : llvm::instructions(function)) {
      if (calledMarker(instruction) != Marker::Count) calls.push_back(llvm::cast<CallInst>(&instruction));
    }
    if (calls.empty()) return;
    const ThreadValues values = valuesOf(function);
    for (CallInst* call : calls) {
      if (!code_.lower(*call, values)) lowerRendezvous(*call, values.thread);
    }
  }

 private:
  ThreadValues valuesOf(Function& function) {
    IRBuilder<> builder(&*function.getEntryBlock().getFirstInsertionPt());
    ThreadValues values;
    Type *i32 = builder.getInt32Ty(), *pointer = builder.getPtrTy();
    Value* thread = function.getArg(0);
    values.thread = thread;
    values.launch = code_.field(builder, thread, offsetof(ThreadContext, launch), pointer);
    values.block = code_.field(builder, thread, offsetof(ThreadContext, block), pointer);
    for (unsigned axis = 0; axis < 3; ++axis)
      values.tid[axis] =
          code_.field(builder, thread, offsetof(ThreadContext, index) + axis * sizeof(uint32_t), i32);
    values.lane = code_.field(builder, thread, offsetof(ThreadContext, lane), i32);
    values.warp = code_.field(builder, thread, offsetof(ThreadContext, warp), i32);
    values.linear = code_.field(builder, thread, offsetof(ThreadContext, linear), i32);
    values.localBegin = code_.field(builder, thread, offsetof(ThreadContext, stackBegin), pointer);
    values.localEnd = code_.field(builder, thread, offsetof(ThreadContext, stackEnd), pointer);
    return values;
  }

  // Calls the service with the thread and the marker's own arguments; i1 travels as i32.
  CallInst* callService(IRBuilder<>& builder, CallInst& call, Value* thread, const char* name, Type* result) {
    std::vector<Value*> arguments{thread};
    for (Value* argument : call.args()) {
      const bool predicate = argument->getType()->isIntegerTy(1);
      arguments.push_back(predicate ? builder.CreateZExt(argument, builder.getInt32Ty()) : argument);
    }
    std::vector<Type*> types;
    for (const Value* argument : arguments) types.push_back(argument->getType());
    return builder.CreateCall(code_.service(name, result, types), arguments);
  }

  static Value* unpackPredicate(IRBuilder<>& builder, Value* packed, Type* pair) {
    Value* low = builder.CreateTrunc(packed, builder.getInt32Ty());
    Value* high = builder.CreateTrunc(builder.CreateLShr(packed, 32), builder.getInt1Ty());
    Value* value = builder.CreateInsertValue(llvm::PoisonValue::get(pair), low, 0);
    return builder.CreateInsertValue(value, high, 1);
  }

  static const char* serviceName(Marker which) {
    switch (which) {
      case Marker::Barrier:
        return "vgpu_barrier";
      case Marker::BarrierArrive:
        return "vgpu_barrier_arrive";
      case Marker::BarrierReduce:
        return "vgpu_barrier_reduce";
      case Marker::WarpSync:
        return "vgpu_warpsync";
      case Marker::Shuffle:
        return "vgpu_shfl";
      case Marker::Vote:
        return "vgpu_vote";
      case Marker::MatchAny:
        return "vgpu_match_any";
      case Marker::MatchAll:
        return "vgpu_match_all";
      case Marker::Redux:
        return "vgpu_redux";
      case Marker::Matrix:
        return "vgpu_matrix";
      case Marker::ActiveMask:
        return "vgpu_activemask";
      case Marker::Exit:
        return "vgpu_exit";
      default:
        return "vgpu_yield";
    }
  }

  void lowerRendezvous(CallInst& call, Value* thread) {
    const Marker which = markerOf(call.getCalledFunction());
    IRBuilder<> builder(&call);
    if (which == Marker::NanoSleep || which == Marker::Yield) {
      builder.CreateCall(code_.service("vgpu_yield", builder.getVoidTy(), {builder.getPtrTy()}), {thread});
    } else if (call.getType()->isStructTy()) {
      Value* packed = callService(builder, call, thread, serviceName(which), builder.getInt64Ty());
      call.replaceAllUsesWith(unpackPredicate(builder, packed, call.getType()));
    } else {
      CallInst* result = callService(builder, call, thread, serviceName(which), call.getType());
      if (which == Marker::Exit) result->setDoesNotReturn();
      if (!call.getType()->isVoidTy()) call.replaceAllUsesWith(result);
    }
    call.eraseFromParent();
  }

  MarkerCode code_;
};

}  // namespace

Lowered lowerToFibers(ThreadFunction& function, const FormOptions& options) {
  FiberLowering lowering(*function.module, options);
  for (Function& each : *function.module) {
    if (!each.isDeclaration()) lowering.lower(each);
  }
  Function* entry = function.module->getFunction(function.entry);
  entry->setName(kEntryName);
  entry->setLinkage(llvm::GlobalValue::ExternalLinkage);
  entry->setVisibility(llvm::GlobalValue::HiddenVisibility);
  Lowered lowered;
  lowered.form = kernel::Form::Fibers;
  lowered.block = options.block;
  return lowered;
}

}  // namespace vgpu::jit
