// Loads, stores and addresses. Vector accesses are one access an element: that is how they are vectorised
// across threads. Those that other threads may meet are one access as a whole.
#include "cpu_driver/jit/translate/function_translator.h"
#include "cpu_driver/kernel/abi.h"

namespace vgpu::jit {
namespace {

// Of an element, where the vector is aligned to its size.
uint32_t alignmentAt(uint32_t vectorBytes, uint64_t offset) {
  return static_cast<uint32_t>(llvm::commonAlignment(llvm::Align(vectorBytes), offset).value());
}

}  // namespace

llvm::Value* FunctionTranslator::byteOffset(Value* pointer, uint64_t bytes) {
  return bytes == 0 ? pointer : builder_.CreatePtrAdd(pointer, builder_.getInt64(bytes));
}

llvm::Value* FunctionTranslator::widened(Value* address) {
  return builder_.CreateZExtOrTrunc(toBits(address), intType(64));
}

llvm::Value* FunctionTranslator::asPointer(Value* address) {
  return builder_.CreateIntToPtr(widened(address), llvm::PointerType::get(context_, 0));
}

llvm::Value* FunctionTranslator::sharedBase() {
  llvm::CallInst* base = mark(Marker::SharedBase);
  base->addRetAttr(llvm::Attribute::getWithAlignment(context_, llvm::Align(kernel::kSharedAlignment)));
  return base;
}

// Where a variable or parameter is, as a pointer.
llvm::Value* FunctionTranslator::variablePointer(const Instruction& i, const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::Parameter:
      return parameters_[operand.index];
    case Operand::Kind::Result:
      return results_[operand.index];
    case Operand::Kind::LocalVariable:
      if (variables_[operand.index] != nullptr) return variables_[operand.index];
      return byteOffset(sharedBase(), module_.sharedOffset(&body_.variables[operand.index]).value_or(0));
    case Operand::Kind::ModuleVariable: {
      const ptx::Variable& variable = module_.source().variables()[operand.index];
      if (variable.space == Space::Shared)
        return byteOffset(sharedBase(), module_.sharedOffset(&variable).value_or(0));
      return mark(Marker::Symbol, {i32(operand.index)});
    }
    default:
      invalid(i, "no variable");
      return llvm::ConstantPointerNull::get(llvm::PointerType::get(context_, 0));
  }
}

llvm::Value* FunctionTranslator::addressOf(const Instruction& i, const Operand& address, Space space) {
  uint64_t offset = uint64_t(address.bits);
  if (address.kind != Operand::Kind::Address) {
    invalid(i, "an address in brackets is needed");
    return llvm::ConstantPointerNull::get(llvm::PointerType::get(context_, 0));
  }
  if (address.count == 0) {
    return space == Space::Shared ? byteOffset(sharedBase(), offset) : asPointer(builder_.getInt64(offset));
  }
  const Operand& base = element(address, 0);
  if (base.kind != Operand::Kind::Register) {
    if (base.kind == Operand::Kind::Function) return asPointer(symbolAddress(i, base));
    return byteOffset(variablePointer(i, base), offset);
  }
  Type type = registerType(base);
  if (ptx::sizeOf(type) < 4) {
    invalid(i, "an address needs a register of 32 or 64 bits");
    return llvm::ConstantPointerNull::get(llvm::PointerType::get(context_, 0));
  }
  Value* value = readRegister(base, ptx::sizeOf(type) == 4 ? Type::B32 : Type::B64);
  if (space == Space::Shared) {
    // Offsets have 32 bits; a constant part is added beyond them, as the hardware's addressing does.
    return byteOffset(builder_.CreatePtrAdd(sharedBase(), widened(value)), offset);
  }
  return byteOffset(asPointer(value), offset);
}

FunctionTranslator::Access FunctionTranslator::accessOf(const Instruction& i) {
  Access access;
  access.space = i.space;
  access.readOnly = i.has(Modifier::Nc) || i.opcode == Opcode::Ldu || i.space == Space::Const;
  // A kernel's own parameters never change; those of a call that it makes do.
  if (i.space == Space::Param && source_.kernel && i.opcode == Opcode::Ld) {
    const Operand& address = operand(i, 1);
    access.readOnly |= address.count == 1 && element(address, 0).kind == Operand::Kind::Parameter;
  }
  if (i.has(Modifier::Volatile) || i.has(Modifier::Mmio)) {
    access.isVolatile = true;
    access.ordering = llvm::AtomicOrdering::Monotonic;
  }
  if (i.has(Modifier::Relaxed)) access.ordering = llvm::AtomicOrdering::Monotonic;
  if (i.has(Modifier::Acquire)) access.ordering = llvm::AtomicOrdering::Acquire;
  if (i.has(Modifier::Release)) access.ordering = llvm::AtomicOrdering::Release;
  // Nobody else sees local memory and parameters.
  if (i.space == Space::Local || i.space == Space::Param) access.ordering = llvm::AtomicOrdering::NotAtomic;
  return access;
}

void FunctionTranslator::tagSpace(llvm::Instruction* access, Space space) {
  if (llvm::MDNode* own = module_.scopeOf(space, false)) {
    access->setMetadata(llvm::LLVMContext::MD_alias_scope, own);
    access->setMetadata(llvm::LLVMContext::MD_noalias, module_.scopeOf(space, true));
  }
}

// Memory of PTX variables and of the device must be aligned to a whole vector (PTX ISA, "Operands",
// "Addresses as Operands"). Processors need no such thing and lose nothing without it; exact checks look.
void FunctionTranslator::tagAlignment(llvm::Instruction* access, uint64_t bytes) {
  access->setMetadata(kVectorAlignment,
                      llvm::MDNode::get(context_, llvm::ConstantAsMetadata::get(
                                                      builder_.getInt32(static_cast<uint32_t>(bytes)))));
}

// Where the hardware would not notice that an address is misaligned, and an atomic access would not be one or
// be very slow: an address that faults. No branch, and an access of this kind costs more than that.
llvm::Value* FunctionTranslator::alignedOrTrap(Value* pointer, uint64_t bytes) {
  if (bytes < 2) return pointer;
  Value* rest = builder_.CreateAnd(builder_.CreatePtrToInt(pointer, intType(64)), bytes - 1);
  return builder_.CreateSelect(builder_.CreateIsNull(rest), pointer,
                               asPointer(builder_.getInt64(kernel::kMisalignedPage)));
}

llvm::Value* FunctionTranslator::loadElement(const Access& access, Value* pointer, Type type,
                                             uint32_t wholeAlignment) {
  const uint32_t alignment = std::min(ptx::sizeOf(type), wholeAlignment);
  llvm::Type* loaded = typeOf(type);
  bool atomic = access.ordering != llvm::AtomicOrdering::NotAtomic;
  if (atomic) loaded = intType(std::max(8u, ptx::bitsOf(type)));
  auto* load = builder_.CreateAlignedLoad(loaded, pointer, llvm::Align(alignment), access.isVolatile);
  if (atomic) load->setAtomic(access.ordering);
  if (access.readOnly && !atomic)
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, module_.emptyNode());
  if (wholeAlignment > alignment) tagAlignment(load, wholeAlignment);
  tagSpace(load, access.space);
  return atomic ? fromBits(load, type) : load;
}

void FunctionTranslator::storeElement(const Access& access, Value* pointer, Value* value,
                                      uint32_t wholeAlignment) {
  const uint64_t bytes = value->getType()->getPrimitiveSizeInBits().getFixedValue() / 8;
  const auto alignment = static_cast<uint32_t>(std::min<uint64_t>(bytes, wholeAlignment));
  bool atomic = access.ordering != llvm::AtomicOrdering::NotAtomic;
  if (atomic) value = toBits(value);
  auto* store = builder_.CreateAlignedStore(value, pointer, llvm::Align(alignment), access.isVolatile);
  if (atomic) store->setAtomic(access.ordering);
  if (wholeAlignment > alignment) tagAlignment(store, wholeAlignment);
  tagSpace(store, access.space);
}

// CUDA's own libraries publish a value and its state in one vector of 64 or 128 bits and read both with one
// access (CUB, decoupled look-back). x86-64 has such accesses: aligned vectors with AVX, or cmpxchg16b.
bool FunctionTranslator::isOneAccess(const Access& access, const Operand& vector, Type type) const {
  return access.ordering != llvm::AtomicOrdering::NotAtomic && vector.kind == Operand::Kind::Vector &&
         ptx::sizeOf(type) * vector.count <= 16;
}

void FunctionTranslator::loadAtOnce(const Instruction& i, const Access& access, Value* pointer) {
  const Type type = i.types[0];
  const Operand& to = operand(i, 0);
  const uint32_t elementBits = ptx::sizeOf(type) * 8, bits = elementBits * to.count;
  auto* whole = builder_.CreateAlignedLoad(intType(bits), alignedOrTrap(pointer, bits / 8),
                                           llvm::Align(bits / 8), access.isVolatile);
  whole->setAtomic(access.ordering);
  tagSpace(whole, access.space);
  for (uint32_t k = 0; k < to.count; ++k) {
    const Operand& part = element(to, k);
    if (part.kind == Operand::Kind::Sink) continue;
    Value* shifted = builder_.CreateLShr(whole, uint64_t{elementBits} * k);
    write(i, part, fromBits(builder_.CreateTrunc(shifted, intType(elementBits)), type), type);
  }
}

void FunctionTranslator::storeAtOnce(const Instruction& i, const Access& access, Value* pointer) {
  const Type type = i.types[0];
  const Operand& from = operand(i, 1);
  const uint32_t elementBits = ptx::sizeOf(type) * 8, bits = elementBits * from.count;
  Value* whole = llvm::ConstantInt::get(intType(bits), 0);
  for (uint32_t k = 0; k < from.count; ++k) {
    Value* part = builder_.CreateZExt(toBits(read(i, element(from, k), type)), intType(bits));
    whole = builder_.CreateOr(whole, builder_.CreateShl(part, uint64_t{elementBits} * k));
  }
  auto* store = builder_.CreateAlignedStore(whole, alignedOrTrap(pointer, bits / 8), llvm::Align(bits / 8),
                                            access.isVolatile);
  store->setAtomic(access.ordering);
  tagSpace(store, access.space);
}

void FunctionTranslator::load(const Instruction& i) {
  Type type = i.types[0];
  Access access = accessOf(i);
  const Operand& to = operand(i, 0);
  Value* pointer = addressOf(i, operand(i, 1), i.space);
  uint32_t size = ptx::sizeOf(type);
  // The form of the register, so that bits that only pass through need no cast.
  auto typeFor = [&](const Operand& destination) {
    if (destination.kind != Operand::Kind::Register || ptx::kindOf(type) == ptx::Kind::Signed) return type;
    llvm::Type* own = registers_[destination.index]->getAllocatedType();
    if (own->isFloatTy() && size == 4) return Type::F32;
    if (own->isDoubleTy() && size == 8) return Type::F64;
    return type;
  };
  if (to.kind != Operand::Kind::Vector)
    return write(i, to, loadElement(access, pointer, typeFor(to), size), type);
  if (isOneAccess(access, to, type)) return loadAtOnce(i, access, pointer);
  for (uint32_t k = 0; k < to.count; ++k) {
    const Operand& part = element(to, k);
    if (part.kind == Operand::Kind::Sink) continue;
    const uint64_t offset = uint64_t{size} * k;
    write(
        i, part,
        loadElement(access, byteOffset(pointer, offset), typeFor(part), alignmentAt(size * to.count, offset)),
        type);
  }
}

void FunctionTranslator::store(const Instruction& i) {
  Type type = i.types[0];
  Access access = accessOf(i);
  const Operand& from = operand(i, 1);
  Value* pointer = addressOf(i, operand(i, 0), i.space);
  uint32_t size = ptx::sizeOf(type);
  auto value = [&](const Operand& source) {
    if (source.kind == Operand::Kind::Register && ptx::kindOf(type) != ptx::Kind::None) {
      llvm::Type* own = registers_[source.index]->getAllocatedType();
      if (own->isFloatTy() && size == 4) return read(i, source, Type::F32);
      if (own->isDoubleTy() && size == 8) return read(i, source, Type::F64);
    }
    return read(i, source, type);
  };
  const bool vector = from.kind == Operand::Kind::Vector;
  if (!vector) {
    storeElement(access, pointer, value(from), size);
  } else if (isOneAccess(access, from, type)) {
    storeAtOnce(i, access, pointer);
  } else {
    for (uint32_t k = 0; k < from.count; ++k) {
      const uint64_t offset = uint64_t{size} * k;
      storeElement(access, byteOffset(pointer, offset), value(element(from, k)),
                   alignmentAt(size * from.count, offset));
    }
  }
  if (i.has(Modifier::Async)) completeBytes(i, 2, i32(vector ? size * from.count : size));
}

void FunctionTranslator::prefetch(const Instruction&) {}  // hints; the processor prefetches by itself

void FunctionTranslator::isSpace(const Instruction& i) {
  Value* address = read(i, 1, Type::B64);
  Value* pointer = asPointer(address);
  Value* result = nullptr;
  auto inParameters = [&]() -> Value* {
    if (!source_.kernel || source_.parameters.empty()) return builder_.getFalse();
    Value* begin = builder_.CreatePtrToInt(mark(Marker::ParamBase), intType(64));
    return builder_.CreateICmpULT(builder_.CreateSub(address, begin),
                                  builder_.getInt64(source_.parameterBytes));
  };
  switch (i.space) {
    case Space::Shared:
      result = mark(Marker::IsShared, {pointer});
      break;
    case Space::Local:
      result = mark(Marker::IsLocal, {pointer});
      break;
    case Space::Const:
      result = mark(Marker::IsConstant, {pointer});
      break;
    case Space::Param:
      result = inParameters();
      break;
    default: {
      Value* other = builder_.CreateOr(mark(Marker::IsShared, {pointer}), mark(Marker::IsLocal, {pointer}));
      other = builder_.CreateOr(other, mark(Marker::IsConstant, {pointer}));
      result = builder_.CreateNot(builder_.CreateOr(other, inParameters()));
    }
  }
  write(i, 0, result, Type::Pred);
}

// Only shared addresses differ from generic ones: they count from the start of the block's shared memory.
void FunctionTranslator::convertAddress(const Instruction& i) {
  Value* address = nullptr;
  const Operand& from = operand(i, 1);
  address = from.kind == Operand::Kind::Register ? widened(readRegister(from, registerType(from)))
                                                 : read(i, from, Type::B64);
  if (i.space == Space::Shared) {
    if (i.has(Modifier::To)) {
      address = builder_.CreateSub(address, builder_.CreatePtrToInt(sharedBase(), intType(64)));
    } else {
      address = builder_.CreatePtrToInt(builder_.CreatePtrAdd(sharedBase(), address), intType(64));
    }
  }
  write(i, 0, address, Type::U64);
}

// Clusters have one block: every shared address is one's own.
void FunctionTranslator::mapAddress(const Instruction& i) { write(i, 0, read(i, 1, i.types[0]), i.types[0]); }
void FunctionTranslator::getCtaRank(const Instruction& i) { write(i, 0, i32(0), Type::U32); }

}  // namespace vgpu::jit
