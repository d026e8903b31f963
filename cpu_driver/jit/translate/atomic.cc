// atom, red, fences. Relaxed unless said otherwise; scopes are all the machine.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

llvm::AtomicOrdering FunctionTranslator::orderingOf(const Instruction& i,
                                                    llvm::AtomicOrdering fallback) const {
  if (i.has(Modifier::AcqRel)) return llvm::AtomicOrdering::AcquireRelease;
  if (i.has(Modifier::Acquire)) return llvm::AtomicOrdering::Acquire;
  if (i.has(Modifier::Release)) return llvm::AtomicOrdering::Release;
  return fallback;
}

// old = *p; while (!swap(p, old, next(old))); returns old.
llvm::Value* FunctionTranslator::atomicLoop(Value* pointer, unsigned bits, llvm::AtomicOrdering ordering,
                                            uint32_t alignment, const std::function<Value*(Value*)>& next) {
  llvm::Align align(alignment);
  auto* first = builder_.CreateAlignedLoad(intType(bits), pointer, align);
  first->setAtomic(llvm::AtomicOrdering::Monotonic);
  llvm::BasicBlock* before = builder_.GetInsertBlock();
  llvm::BasicBlock* loop = newBlock("atomic");
  llvm::BasicBlock* done = newBlock("atomic.done");
  builder_.CreateBr(loop);
  builder_.SetInsertPoint(loop);
  auto* old = builder_.CreatePHI(intType(bits), 2);
  old->addIncoming(first, before);
  Value* wanted = next(old);
  auto failure = llvm::AtomicCmpXchgInst::getStrongestFailureOrdering(ordering);
  Value* swapped = builder_.CreateAtomicCmpXchg(pointer, old, wanted, align, ordering, failure);
  old->addIncoming(builder_.CreateExtractValue(swapped, 0), builder_.GetInsertBlock());
  builder_.CreateCondBr(builder_.CreateExtractValue(swapped, 1), done, loop);
  builder_.SetInsertPoint(done);
  return old;
}

namespace {

std::optional<llvm::AtomicRMWInst::BinOp> operationOf(const Instruction& i, Type type) {
  using Op = llvm::AtomicRMWInst::BinOp;
  bool floating = ptx::isFloating(type), isSigned = ptx::isSigned(type);
  if (i.has(Modifier::Add)) return floating ? Op::FAdd : Op::Add;
  if (i.has(Modifier::And)) return Op::And;
  if (i.has(Modifier::Or)) return Op::Or;
  if (i.has(Modifier::Xor)) return Op::Xor;
  if (i.has(Modifier::Exch)) return Op::Xchg;
  if (i.has(Modifier::Inc)) return Op::UIncWrap;
  if (i.has(Modifier::Dec)) return Op::UDecWrap;
  if (i.has(Modifier::Min) && !floating) return isSigned ? Op::Min : Op::UMin;
  if (i.has(Modifier::Max) && !floating) return isSigned ? Op::Max : Op::UMax;
  return std::nullopt;
}

}  // namespace

llvm::Value* FunctionTranslator::atomicElement(const Instruction& i, Value* pointer, Value* value,
                                               Value* swap, Type type) {
  auto ordering = orderingOf(i, llvm::AtomicOrdering::Monotonic);
  uint32_t size = ptx::sizeOf(type);
  llvm::Align align(size);
  pointer = alignedOrTrap(pointer, size);
  if (i.has(Modifier::Cas)) {
    auto failure = llvm::AtomicCmpXchgInst::getStrongestFailureOrdering(ordering);
    auto* exchange =
        builder_.CreateAtomicCmpXchg(pointer, toBits(value), toBits(swap), align, ordering, failure);
    tagSpace(exchange, i.space);
    return builder_.CreateExtractValue(exchange, 0);
  }
  bool half = ptx::isFloating(type) && type != Type::F32 && type != Type::F64;
  if (half) {
    Type one = scalarHalf(type);
    return atomicLoop(pointer, size * 8, ordering, size, [&](Value* old) {
      return eachHalf(type, {old, value}, [&](llvm::ArrayRef<Value*> v) -> Value* {
        Value* a = halfToFloat(v[0], one);
        Value* b = halfToFloat(v[1], one);
        if (i.has(Modifier::Add)) return floatToHalf(builder_.CreateFAdd(a, b), one);
        return floatToHalf(floatMinMax(a, b, i.has(Modifier::Min), false), one);
      });
    });
  }
  auto operation = operationOf(i, type);
  if (!operation) {
    unsupported(i);
    return value;
  }
  if (*operation == llvm::AtomicRMWInst::Xchg) value = toBits(value);
  auto* rmw = builder_.CreateAtomicRMW(*operation, pointer, value, align, ordering);
  tagSpace(rmw, i.space);
  return rmw;
}

void FunctionTranslator::atomic(const Instruction& i) {
  Type type = i.types[0];
  bool returns = i.opcode == Opcode::Atom;
  size_t at = returns ? 1 : 0;
  if (i.typeCount == 0) return unsupported(i);
  Value* pointer = addressOf(i, operand(i, at), i.space);
  const Operand& from = operand(i, at + 1);
  if (from.kind != Operand::Kind::Vector) {
    Value* swap = i.has(Modifier::Cas) ? read(i, at + 2, type) : nullptr;
    Value* old = atomicElement(i, pointer, read(i, from, type), swap, type);
    if (returns) write(i, 0, old, type);
    if (i.has(Modifier::Async)) completeBytes(i, at + 2, i32(ptx::sizeOf(type)));
    return;
  }
  // Vectors are atomic element by element.
  for (uint32_t k = 0; k < from.count; ++k) {
    Value* old = atomicElement(i, byteOffset(pointer, uint64_t{ptx::sizeOf(type)} * k),
                               read(i, element(from, k), type), nullptr, type);
    if (returns && operand(i, 0).kind == Operand::Kind::Vector)
      write(i, element(operand(i, 0), k), old, type);
  }
}

// Memory has one proxy here: a fence between proxies is a fence. What is asked of a range holds for all
// memory.
void FunctionTranslator::fence(const Instruction& i) {
  auto ordering = llvm::AtomicOrdering::SequentiallyConsistent;
  if (i.opcode == Opcode::Fence && !i.has(Modifier::Sc)) ordering = llvm::AtomicOrdering::AcquireRelease;
  builder_.CreateFence(ordering);
}

}  // namespace vgpu::jit
