// Branches and the ends of threads.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

void FunctionTranslator::branch(const Instruction& i) {
  const Operand& target = operand(i, 0);
  if (target.kind != Operand::Kind::Label) return invalid(i, "the target must be a label");
  llvm::BasicBlock* to = labels_[target.index];
  if (i.guard == ptx::kNoIndex) {
    builder_.CreateBr(to);
    return;
  }
  Value* guard = builder_.CreateLoad(builder_.getInt1Ty(), registers_[i.guard]);
  llvm::BasicBlock* next = newBlock("next");
  if (i.guardNegated) {
    builder_.CreateCondBr(guard, next, to);
  } else {
    builder_.CreateCondBr(guard, to, next);
  }
  builder_.SetInsertPoint(next);
}

// An index past the list is the program's error; it traps rather than jumps anywhere.
void FunctionTranslator::branchIndexed(const Instruction& i) {
  const Operand& targets = operand(i, 1);
  if (targets.kind != Operand::Kind::Targets) return invalid(i, "the targets must be a list");
  Value* index = read(i, 0, Type::U32);
  llvm::BasicBlock* wrong = newBlock("no.target");
  const auto& list = body_.targetLists[targets.index].targets;
  auto* jump = builder_.CreateSwitch(index, wrong, unsigned(list.size()));
  for (uint32_t k = 0; k < list.size(); ++k) jump->addCase(builder_.getInt32(k), labels_[list[k]]);
  builder_.SetInsertPoint(wrong);
  trap(i);
}

void FunctionTranslator::ret(const Instruction&) {
  for (size_t k = 0; k < results_.size() && k < body_.resultRegisters.size(); ++k) {
    uint32_t where = body_.resultRegisters[k];
    if (where == ptx::kNoIndex) continue;
    builder_.CreateStore(builder_.CreateLoad(registers_[where]->getAllocatedType(), registers_[where]),
                         results_[k]);
  }
  builder_.CreateRetVoid();
}

void FunctionTranslator::exit(const Instruction& i) {
  if (source_.kernel) return ret(i);
  mark(Marker::Exit);
  builder_.CreateUnreachable();
}

void FunctionTranslator::trap(const Instruction&) {
  mark(Marker::Trap);
  builder_.CreateUnreachable();
}

void FunctionTranslator::nothing(const Instruction&) {}
void FunctionTranslator::gridDependency(const Instruction&) {}  // launches of one stream do not overlap

void FunctionTranslator::nanosleep(const Instruction& i) { mark(Marker::NanoSleep, {read(i, 0, Type::U32)}); }

void FunctionTranslator::stackSave(const Instruction& i) {
  Value* saved = builder_.CreateStackSave();
  write(i, 0, builder_.CreatePtrToInt(saved, intType(64)), Type::U64);
}
void FunctionTranslator::stackRestore(const Instruction& i) {
  builder_.CreateStackRestore(asPointer(read(i, 0, Type::U64)));
}

void FunctionTranslator::allocate(const Instruction& i) {
  Value* size = builder_.CreateZExtOrTrunc(read(i, 1, i.types[0]), intType(64));
  auto* slot = builder_.CreateAlloca(builder_.getInt8Ty(), size);
  uint64_t alignment =
      i.operandCount > 2 && operand(i, 2).kind == Operand::Kind::Integer ? uint64_t(operand(i, 2).bits) : 8;
  slot->setAlignment(llvm::Align(std::clamp<uint64_t>(llvm::PowerOf2Ceil(alignment), 8, 256)));
  write(i, 0, builder_.CreatePtrToInt(slot, intType(64)), Type::U64);
}

}  // namespace vgpu::jit
