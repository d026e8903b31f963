// Calls: arguments and results are memory of the caller's, passed by pointer; promoted once the call is
// inlined.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {

// An argument is a variable of the call's scope, or a register or constant, which gets a place of its own.
llvm::Value* FunctionTranslator::argumentPointer(const Instruction& i, const Operand& argument,
                                                 const ptx::Variable& parameter) {
  bool variable = argument.kind == Operand::Kind::LocalVariable ||
                  argument.kind == Operand::Kind::Parameter || argument.kind == Operand::Kind::Result;
  if (variable) return variablePointer(i, argument);
  llvm::IRBuilder<> entry(allocaPoint_);
  Type type = parameter.type;
  auto* slot = entry.CreateAlloca(typeOf(type));
  if (argument.kind != Operand::Kind::Sink) builder_.CreateStore(read(i, argument, type), slot);
  return slot;
}

std::vector<llvm::Value*> FunctionTranslator::argumentPointers(const Instruction& i,
                                                               const std::vector<ptx::Variable>& parameters,
                                                               const std::vector<ptx::Variable>& results) {
  const Operand& given = operand(i, 2);
  const Operand& wanted = operand(i, 0);
  std::vector<Value*> pointers = {function_->getArg(0)};
  if (given.count != parameters.size() || wanted.count != results.size()) {
    invalid(i, "the number of arguments does not fit the function");
    return pointers;
  }
  for (uint32_t k = 0; k < given.count; ++k)
    pointers.push_back(argumentPointer(i, element(given, k), parameters[k]));
  for (uint32_t k = 0; k < wanted.count; ++k) {
    const Operand& result = element(wanted, k);
    Operand place = result.kind == Operand::Kind::Register ? sink_ : result;  // written back after the call
    pointers.push_back(argumentPointer(i, place, results[k]));
  }
  return pointers;
}

void FunctionTranslator::readBackResults(const Instruction& i, const std::vector<ptx::Variable>& results,
                                         llvm::ArrayRef<Value*> pointers) {
  const Operand& wanted = operand(i, 0);
  size_t first = pointers.size() - results.size();
  for (uint32_t k = 0; k < wanted.count && k < results.size(); ++k) {
    const Operand& result = element(wanted, k);
    if (result.kind != Operand::Kind::Register) continue;
    write(i, result, builder_.CreateLoad(typeOf(results[k].type), pointers[first + k]), results[k].type);
  }
}

void FunctionTranslator::callFunction(const Instruction& i, uint32_t callee) {
  const ptx::Function& target = module_.source().functions()[callee];
  llvm::Function* function = module_.functionOf(callee);
  if (function == nullptr) {
    if (callBuiltin(i, target)) return;
    return unsupported(i, "call of '" + std::string(target.name) + "', which the module does not define");
  }
  std::vector<Value*> pointers = argumentPointers(i, target.parameters, target.results);
  if (module_.failed()) return;
  builder_.CreateCall(function, pointers);
  readBackResults(i, target.results, pointers);
}

llvm::Value* FunctionTranslator::argumentValue(const Instruction& i, uint32_t index, Type type) {
  const Operand& argument = element(operand(i, 2), index);
  bool direct = argument.kind == Operand::Kind::Register || argument.kind == Operand::Kind::Integer;
  if (direct) return read(i, argument, type);
  return builder_.CreateLoad(typeOf(type), variablePointer(i, argument));
}

// The functions that the device's own system provides (CUDA C++ Programming Guide, vprintf and its like).
bool FunctionTranslator::callBuiltin(const Instruction& i, const ptx::Function& callee) {
  std::string_view name = callee.name;
  const Operand& given = operand(i, 2);
  const Operand& wanted = operand(i, 0);
  auto pointerArgument = [&](uint32_t index) { return asPointer(argumentValue(i, index, Type::B64)); };
  Value* result = nullptr;
  if (name == "vprintf" && given.count == 2) {
    result = mark(Marker::Printf, {pointerArgument(0), pointerArgument(1)});
  } else if (name == "malloc" && given.count == 1) {
    result = builder_.CreatePtrToInt(mark(Marker::Malloc, {argumentValue(i, 0, Type::B64)}), intType(64));
  } else if (name == "free" && given.count == 1) {
    mark(Marker::Free, {pointerArgument(0)});
  } else if ((name == "__assertfail" && given.count == 5) || (name == "__assert_fail" && given.count == 4)) {
    mark(Marker::AssertFail,
         {pointerArgument(0), pointerArgument(1), argumentValue(i, 2, Type::B32), pointerArgument(3)});
    builder_.CreateUnreachable();
    builder_.SetInsertPoint(newBlock("after.assert"));
  } else {
    return false;
  }
  if (result == nullptr || wanted.count == 0) return true;
  const Operand& place = element(wanted, 0);
  if (place.kind == Operand::Kind::Register) {
    write(i, place, result, Type::B64);
  } else if (place.kind != Operand::Kind::Sink) {
    builder_.CreateStore(result, variablePointer(i, place));
  }
  return true;
}

// A switch over the functions that the address may name and whose parameters have the prototype's sizes.
void FunctionTranslator::callIndirect(const Instruction& i) {
  const Operand& shape = operand(i, 3);
  std::vector<ptx::Variable> parameters, results;
  std::vector<uint32_t> candidates = module_.source().addressTaken();
  if (shape.kind == Operand::Kind::Prototype) {
    parameters = body_.prototypes[shape.index].parameters;
    results = body_.prototypes[shape.index].results;
  } else if (shape.kind == Operand::Kind::Targets && body_.targetLists[shape.index].functions) {
    candidates = body_.targetLists[shape.index].targets;
    if (candidates.empty()) return invalid(i, "an empty list of targets");
    parameters = module_.source().functions()[candidates[0]].parameters;
    results = module_.source().functions()[candidates[0]].results;
  } else {
    return invalid(i, "an indirect call needs a prototype");
  }
  std::vector<Value*> pointers = argumentPointers(i, parameters, results);
  if (module_.failed()) return;
  Value* id = read(i, 1, Type::B64);
  auto sameSizes = [](const std::vector<ptx::Variable>& a, const std::vector<ptx::Variable>& b) {
    return std::equal(
        a.begin(), a.end(), b.begin(), b.end(),
        [](const ptx::Variable& x, const ptx::Variable& y) { return x.sizeBytes == y.sizeBytes; });
  };
  llvm::BasicBlock* wrong = newBlock("no.function");
  llvm::BasicBlock* done = newBlock("called");
  auto* choice = builder_.CreateSwitch(id, wrong);
  for (uint32_t candidate : candidates) {
    const ptx::Function& target = module_.source().functions()[candidate];
    llvm::Function* function = module_.functionOf(candidate);
    if (function == nullptr || target.kernel || !sameSizes(target.parameters, parameters) ||
        !sameSizes(target.results, results))
      continue;
    llvm::BasicBlock* block = newBlock("call");
    choice->addCase(builder_.getInt64(ptx::functionId(candidate)), block);
    builder_.SetInsertPoint(block);
    builder_.CreateCall(function, pointers);
    builder_.CreateBr(done);
  }
  builder_.SetInsertPoint(wrong);
  trap(i);
  builder_.SetInsertPoint(done);
  readBackResults(i, results, pointers);
}

void FunctionTranslator::call(const Instruction& i) {
  const Operand& callee = operand(i, 1);
  if (callee.kind == Operand::Kind::Function) return callFunction(i, callee.index);
  if (callee.kind == Operand::Kind::Register) return callIndirect(i);
  invalid(i, "no function");
}

}  // namespace vgpu::jit
