// Code for markers that both forms lower alike, given where the block and the thread's coordinates are.
// Compile thread.
#pragma once

#include <llvm/IR/IRBuilder.h>

#include "cpu_driver/jit/form.h"

namespace vgpu::jit {

// What a form knows of the running thread at a place in the code. Pointers to the contexts of kernel/abi.h.
struct ThreadValues {
  llvm::Value* launch = nullptr;
  llvm::Value* block = nullptr;
  llvm::Value* thread = nullptr;  // fibers: its ThreadContext; loops: null
  llvm::Value* tid[3] = {};
  llvm::Value* linear = nullptr;
  llvm::Value* lane = nullptr;
  llvm::Value* warp = nullptr;
  llvm::Value* localBegin = nullptr;  // the range of its local memory
  llvm::Value* localEnd = nullptr;
};

class MarkerCode {
 public:
  MarkerCode(llvm::Module& module, const FormOptions& options) : module_(module), options_(options) {}

  // A field of a context, which does not change while a thread runs.
  llvm::Value* field(llvm::IRBuilder<>& builder, llvm::Value* context, size_t offset, llvm::Type* type);
  llvm::Value* dimension(llvm::IRBuilder<>& builder, llvm::Value* launch, unsigned axis);
  llvm::FunctionCallee service(const char* name, llvm::Type* result, llvm::ArrayRef<llvm::Type*> arguments);

  // The value of a marker that needs no rendezvous, made at the builder's place. Null: it is the form's
  // business.
  llvm::Value* value(llvm::IRBuilder<>& builder, llvm::CallInst& call, const ThreadValues& values);
  // Replaces the call of a marker that needs no rendezvous. False: it is the form's business.
  bool lower(llvm::CallInst& call, const ThreadValues& values);

 private:
  llvm::Value* registerValue(llvm::IRBuilder<>& builder, Marker which, const ThreadValues& values);
  llvm::Value* addressValue(llvm::IRBuilder<>& builder, llvm::CallInst& call, Marker which,
                            const ThreadValues& values);
  llvm::Value* serviceValue(llvm::IRBuilder<>& builder, llvm::CallInst& call, Marker which,
                            const ThreadValues& values);
  llvm::Value* inRange(llvm::IRBuilder<>& builder, llvm::Value* pointer, llvm::Value* begin,
                       llvm::Value* end);

  llvm::Module& module_;
  const FormOptions& options_;
};

}  // namespace vgpu::jit
