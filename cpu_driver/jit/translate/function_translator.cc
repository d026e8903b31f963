#include "cpu_driver/jit/translate/function_translator.h"

#include <array>

namespace vgpu::jit {

struct HandlerTable {
  using Handler = FunctionTranslator::Handler;
  static Handler of(Opcode opcode) {
    static constexpr std::array<Handler, size_t(Opcode::Count)> kHandlers = {
        &FunctionTranslator::refused,
#define PTX_OPCODE(id, spelling, handler, modifiers, types, signature) &FunctionTranslator::handler,
#include "cpu_driver/ptx/opcodes.inc"
#undef PTX_OPCODE
    };
    return kHandlers[size_t(opcode)];
  }
};

FunctionTranslator::FunctionTranslator(ModuleTranslator& module, uint32_t index, llvm::Function* function)
    : module_(module),
      context_(module.context()),
      index_(index),
      source_(module.source().functions()[index]),
      body_(module.bodyOf(index)),
      function_(function),
      builder_(module.context()) {}

void FunctionTranslator::unsupported(const Instruction& i, const std::string& what) {
  std::string text = what;
  if (text.empty()) {
    std::string_view rest = module_.source().text().substr(i.textOffset, 200);
    for (char c : rest.substr(0, rest.find(';'))) {
      if (c > ' ') text += c;
      if (c <= ' ' && !text.empty()) break;
    }
  }
  module_.fail(TranslateError::Kind::Unsupported, i.line, "unsupported instruction '" + text + "'");
}

void FunctionTranslator::invalid(const Instruction& i, const std::string& why) {
  module_.fail(TranslateError::Kind::InvalidPtx, i.line,
               "instruction '" + std::string(ptx::spelling(i.opcode)) + "': " + why);
}

llvm::BasicBlock* FunctionTranslator::newBlock(const char* name) {
  return llvm::BasicBlock::Create(context_, name, function_);
}

bool FunctionTranslator::terminated() const { return builder_.GetInsertBlock()->getTerminator() != nullptr; }

void FunctionTranslator::startBlock(llvm::BasicBlock* block) {
  if (!terminated()) builder_.CreateBr(block);
  builder_.SetInsertPoint(block);
}

// A .b32 or .b64 register that is mostly used as a float becomes one: fewer casts, and phis of the right
// type.
void FunctionTranslator::prepareRegisters() {
  std::vector<int> score(body_.registers.size());
  for (const Instruction& i : body_.instructions) {
    bool data = i.opcode == Opcode::Ld || i.opcode == Opcode::St || i.opcode == Opcode::Mov;
    for (uint32_t k = 0; k < i.operandCount; ++k) {
      const Operand& operand = body_.operands[i.operands + k];
      if (operand.kind != Operand::Kind::Register || i.typeCount == 0) continue;
      Type type = i.opcode == Opcode::Cvt && k == 1 ? i.types[1] : i.types[0];
      if (i.opcode == Opcode::Set && k > 0) type = i.types[1];
      bool floating = type == Type::F32 || type == Type::F64;
      if (ptx::kindOf(type) == ptx::Kind::Bits && data) continue;
      score[operand.index] += floating && !(i.opcode == Opcode::Setp && k == 0) ? 1 : -1;
    }
  }
  for (size_t r = 0; r < body_.registers.size(); ++r) {
    Type type = body_.registers[r].type;
    if (type == Type::B32 && score[r] > 0) type = Type::F32;
    if (type == Type::B64 && score[r] > 0) type = Type::F64;
    auto* slot = builder_.CreateAlloca(typeOf(type));
    registers_.push_back(slot);
  }
  // A register read before it is written holds zero rather than something undefined.
  for (llvm::AllocaInst* slot : registers_) {
    builder_.CreateStore(llvm::Constant::getNullValue(slot->getAllocatedType()), slot);
  }
}

void FunctionTranslator::prepareVariables() {
  auto allocate = [&](const ptx::Variable& variable) {
    auto* bytes = llvm::ArrayType::get(builder_.getInt8Ty(), variable.sizeBytes);
    auto* slot = builder_.CreateAlloca(bytes);
    slot->setAlignment(llvm::Align(std::max(variable.alignment, 8u)));
    return slot;
  };
  for (const ptx::Variable& variable : body_.variables) {
    variables_.push_back(variable.space == Space::Shared ? nullptr : allocate(variable));
  }
  unsigned argument = 1;
  if (source_.kernel) {
    llvm::CallInst* base = source_.parameters.empty() ? nullptr : mark(Marker::ParamBase);
    if (base != nullptr) {
      base->addRetAttr(llvm::Attribute::getWithDereferenceableBytes(context_, source_.parameterBytes));
      base->addRetAttr(llvm::Attribute::getWithAlignment(context_, llvm::Align(16)));
    }
    for (const ptx::Variable& parameter : source_.parameters)
      parameters_.push_back(byteOffset(base, parameter.offset));
    return;
  }
  for (size_t i = 0; i < source_.parameters.size(); ++i) parameters_.push_back(function_->getArg(argument++));
  for (size_t i = 0; i < source_.results.size(); ++i) results_.push_back(function_->getArg(argument++));
  for (size_t i = 0; i < source_.parameters.size(); ++i) {
    uint32_t where = i < body_.parameterRegisters.size() ? body_.parameterRegisters[i] : ptx::kNoIndex;
    if (where == ptx::kNoIndex) continue;
    builder_.CreateStore(builder_.CreateLoad(registers_[where]->getAllocatedType(), parameters_[i]),
                         registers_[where]);
  }
}

void FunctionTranslator::prepareLabels() {
  labelsAt_.resize(body_.instructions.size() + 1);
  for (uint32_t i = 0; i < body_.labels.size(); ++i) {
    labels_.push_back(newBlock("label"));
    labelsAt_[body_.labels[i].instruction].push_back(i);
  }
}

// @p: the instruction in a block of its own, passed by when p is false.
void FunctionTranslator::translate(const Instruction& i) {
  Handler handler = HandlerTable::of(i.opcode);
  if (i.guard == ptx::kNoIndex || i.opcode == Opcode::Bra) return (this->*handler)(i);
  Value* guard = builder_.CreateLoad(builder_.getInt1Ty(), registers_[i.guard]);
  if (i.guardNegated) guard = builder_.CreateNot(guard);
  llvm::BasicBlock* guarded = newBlock("guarded");
  llvm::BasicBlock* after = newBlock("after");
  builder_.CreateCondBr(guard, guarded, after);
  builder_.SetInsertPoint(guarded);
  (this->*handler)(i);
  startBlock(after);
}

bool FunctionTranslator::run() {
  entry_ = newBlock("entry");
  builder_.SetInsertPoint(entry_);
  carry_ = builder_.CreateAlloca(builder_.getInt1Ty());
  builder_.CreateStore(builder_.getFalse(), carry_);
  prepareRegisters();
  prepareVariables();
  allocaPoint_ = builder_.CreateAlloca(builder_.getInt8Ty());  // where further allocas go
  prepareLabels();
  for (size_t at = 0; at <= body_.instructions.size() && !module_.failed(); ++at) {
    for (uint32_t label : labelsAt_[at]) startBlock(labels_[label]);
    if (at == body_.instructions.size()) break;
    if (terminated()) builder_.SetInsertPoint(newBlock("unreachable"));
    translate(body_.instructions[at]);
  }
  if (module_.failed()) return false;
  if (!terminated()) ret(Instruction{});
  allocaPoint_->eraseFromParent();
  return true;
}

}  // namespace vgpu::jit
