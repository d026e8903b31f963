// One kernel with the device functions that it reaches, becoming one LLVM module. Compile thread; owns the
// module until it is handed over. See thread_function.h for the shape of the result.
#pragma once

#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>

#include <map>
#include <memory>
#include <optional>

#include "cpu_driver/jit/thread_function.h"
#include "cpu_driver/jit/translate_interface.h"
#include "cpu_driver/ptx/module.h"

namespace vgpu::jit {

class ModuleTranslator {
 public:
  ModuleTranslator(llvm::LLVMContext& context, const ptx::Module& source, uint32_t kernel);
  std::variant<ThreadFunction, TranslateError> run();

  llvm::LLVMContext& context() { return context_; }
  llvm::Module& module() { return *module_; }
  const ptx::Module& source() const { return source_; }
  uint32_t kernel() const { return kernel_; }
  const ptx::Resources& resources() const { return resources_; }
  llvm::Function* functionOf(uint32_t index) const;  // null: not reached
  const ptx::Body& bodyOf(uint32_t index) const;
  // Offset of a .shared variable in the block's shared memory.
  std::optional<uint32_t> sharedOffset(const ptx::Variable* variable) const;
  // Metadata that says which state space an access is in; what lies in one never aliases the other.
  llvm::MDNode* scopeOf(ptx::Space space, bool other) const;
  llvm::MDNode* emptyNode() const { return empty_; }

  bool failed() const { return error_.has_value(); }
  void fail(TranslateError::Kind kind, uint32_t line, const std::string& why);

 private:
  bool collect();
  void declare(uint32_t index);
  void makeScopes();

  llvm::LLVMContext& context_;
  const ptx::Module& source_;
  uint32_t kernel_;
  std::unique_ptr<llvm::Module> module_;
  ptx::Resources resources_;
  std::map<uint32_t, llvm::Function*> functions_;
  std::map<const ptx::Variable*, uint32_t> sharedOffsets_;
  std::optional<TranslateError> error_;
  llvm::MDNode* globalScope_ = nullptr;
  llvm::MDNode* sharedScope_ = nullptr;
  llvm::MDNode* empty_ = nullptr;
};

// After translation: registers become values, addresses pointer arithmetic on the pointer they come from, and
// NaNs the ones that PTX's arithmetic gives. Loops and calls are left as they are.
void cleanUp(llvm::Module& module);
void rewriteAddresses(llvm::Function& function);
void canonicaliseNans(llvm::Function& function);

}  // namespace vgpu::jit
