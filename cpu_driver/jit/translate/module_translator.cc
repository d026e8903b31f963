#include "cpu_driver/jit/translate/module_translator.h"

#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>

#include "cpu_driver/jit/translate/function_translator.h"
#include "cpu_driver/jit/translate_interface.h"

namespace vgpu::jit {

ModuleTranslator::ModuleTranslator(llvm::LLVMContext& context, const ptx::Module& source, uint32_t kernel)
    : context_(context),
      source_(source),
      kernel_(kernel),
      module_(std::make_unique<llvm::Module>(llvm::StringRef("vgpu"), context)) {}

void ModuleTranslator::fail(TranslateError::Kind kind, uint32_t line, const std::string& why) {
  if (!error_) error_ = TranslateError{kind, ptx::Diagnostic{line, why}.message()};
}

llvm::Function* ModuleTranslator::functionOf(uint32_t index) const {
  auto found = functions_.find(index);
  return found == functions_.end() ? nullptr : found->second;
}

const ptx::Body& ModuleTranslator::bodyOf(uint32_t index) const {
  return *std::get<const ptx::Body*>(source_.body(index));
}

std::optional<uint32_t> ModuleTranslator::sharedOffset(const ptx::Variable* variable) const {
  auto found = sharedOffsets_.find(variable);
  if (found == sharedOffsets_.end()) return std::nullopt;
  return found->second;
}

void ModuleTranslator::makeScopes() {
  llvm::MDBuilder builder(context_);
  llvm::MDNode* domain = builder.createAnonymousAliasScopeDomain("state spaces");
  globalScope_ = llvm::MDNode::get(context_, builder.createAnonymousAliasScope(domain, "global"));
  sharedScope_ = llvm::MDNode::get(context_, builder.createAnonymousAliasScope(domain, "shared"));
  empty_ = llvm::MDNode::get(context_, {});
}

llvm::MDNode* ModuleTranslator::scopeOf(ptx::Space space, bool other) const {
  if (space == ptx::Space::Global) return other ? sharedScope_ : globalScope_;
  if (space == ptx::Space::Shared) return other ? globalScope_ : sharedScope_;
  return nullptr;
}

// Parses what the kernel reaches; refuses what any of it refuses.
bool ModuleTranslator::collect() {
  auto found = source_.resources(kernel_);
  if (auto* failure = std::get_if<ptx::Diagnostic>(&found)) {
    error_ = TranslateError{TranslateError::Kind::InvalidPtx, failure->message()};
    return false;
  }
  resources_ = std::get<ptx::Resources>(std::move(found));
  for (const ptx::SharedVariable& shared : resources_.shared) sharedOffsets_[shared.variable] = shared.offset;
  std::vector<uint32_t> all = resources_.functions;
  all.push_back(kernel_);
  for (uint32_t index : all) {
    if (const auto& refused = bodyOf(index).unsupported) {
      fail(TranslateError::Kind::Unsupported, refused->line,
           "unsupported instruction '" + refused->what + "'");
      return false;
    }
  }
  return true;
}

// void (ptr thread, ptr of each parameter, ptr of each result); a kernel has the thread alone.
void ModuleTranslator::declare(uint32_t index) {
  const ptx::Function& function = source_.functions()[index];
  llvm::Type* pointer = llvm::PointerType::get(context_, 0);
  size_t arguments = 1 + (function.kernel ? 0 : function.parameters.size() + function.results.size());
  std::vector<llvm::Type*> types(arguments, pointer);
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context_), types, false);
  auto linkage = index == kernel_ ? llvm::GlobalValue::ExternalLinkage : llvm::GlobalValue::InternalLinkage;
  auto* made = llvm::Function::Create(type, linkage,
                                      llvm::StringRef(function.name.data(), function.name.size()), *module_);
  made->setDoesNotThrow();
  made->getArg(0)->setName("thread");
  for (unsigned i = 1; i < arguments; ++i) made->addParamAttr(i, llvm::Attribute::NonNull);
  functions_[index] = made;
}

std::variant<ThreadFunction, TranslateError> ModuleTranslator::run() {
  if (!collect()) return *error_;
  makeScopes();
  for (uint32_t index : resources_.functions) declare(index);
  declare(kernel_);
  for (auto& [index, function] : functions_) {
    if (!FunctionTranslator(*this, index, function).run()) return *error_;
  }
  cleanUp(*module_);
  std::string complaint;
  llvm::raw_string_ostream stream(complaint);
  if (llvm::verifyModule(*module_, &stream)) {
    return TranslateError{TranslateError::Kind::Unsupported,
                          "internal error in translation: " + stream.str()};
  }
  ThreadFunction result;
  result.entry = functions_[kernel_]->getName().str();
  result.module = std::move(module_);
  result.sharedBytes = resources_.sharedBytes;
  result.dynamicSharedOffset = resources_.dynamicSharedOffset;
  return result;
}

std::variant<ThreadFunction, TranslateError> translateKernel(llvm::LLVMContext& context,
                                                             std::string_view text, std::string_view kernel) {
  auto loaded = ptx::load(text, ptx::BodyParsing::Lazy);
  if (auto* failure = std::get_if<ptx::Diagnostic>(&loaded)) {
    return TranslateError{TranslateError::Kind::InvalidPtx, failure->message()};
  }
  const ptx::Module& module = *std::get<std::shared_ptr<const ptx::Module>>(loaded);
  uint32_t index = module.findKernel(kernel);
  if (index == ptx::kNoIndex) {
    return TranslateError{TranslateError::Kind::NotFound,
                          "the module has no kernel '" + std::string(kernel) + "'"};
  }
  return ModuleTranslator(context, module, index).run();
}

}  // namespace vgpu::jit
