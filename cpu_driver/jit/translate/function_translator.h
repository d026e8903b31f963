// One PTX function becoming LLVM IR. Compile thread; the parsed module outlives it and was checked, yet every
// operand is asked for through functions that fail by name rather than read out of bounds. Registers are
// allocas, one each, promoted afterwards. Values: integers iN, f32 float, f64 double, predicates i1, f16,
// bf16 and all packed types as integers of their size.
#pragma once

#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cpu_driver/jit/translate/module_translator.h"
#include "cpu_driver/kernel/matrix_operation.h"

namespace vgpu::jit {

using ptx::Instruction;
using ptx::Modifier;
using ptx::Opcode;
using ptx::Operand;
using ptx::Space;
using ptx::Type;

// The rounding of an instruction: .rn is the processor's own, the others are computed from the exact error.
enum class Rounding { Nearest, Zero, Down, Up };

class FunctionTranslator {
 public:
  FunctionTranslator(ModuleTranslator& module, uint32_t index, llvm::Function* function);
  // False: error() says why.
  bool run();

 private:
  using Value = llvm::Value;
  using Handler = void (FunctionTranslator::*)(const Instruction&);
  friend struct HandlerTable;

  // function_translator.cc
  void prepareRegisters();
  void prepareVariables();
  void prepareLabels();
  void translate(const Instruction& i);
  void startBlock(llvm::BasicBlock* block);
  bool terminated() const;
  llvm::BasicBlock* newBlock(const char* name);
  void unsupported(const Instruction& i, const std::string& what = {});
  void invalid(const Instruction& i, const std::string& why);

  // operands.cc
  llvm::Type* typeOf(Type type) const;
  llvm::IntegerType* intType(unsigned bits) const { return llvm::IntegerType::get(context_, bits); }
  const Operand& operand(const Instruction& i, size_t index);
  const Operand& element(const Operand& group, uint32_t index) const;
  Type registerType(const Operand& operand) const;
  Value* read(const Instruction& i, size_t index, Type type) { return read(i, operand(i, index), type); }
  Value* read(const Instruction& i, const Operand& operand, Type type);
  Value* readRegister(const Operand& operand, Type type);
  Value* readConstant(const Operand& operand, Type type);
  Value* readPredicate(const Instruction& i, size_t index);
  void write(const Instruction& i, size_t index, Value* value, Type type) {
    write(i, operand(i, index), value, type);
  }
  void write(const Instruction& i, const Operand& operand, Value* value, Type type);
  Value* fromBits(Value* bits, Type type);  // iN of the type's size to its value
  Value* toBits(Value* value);
  Value* observedBits(Value* value);
  Value* constant(Type type, uint64_t bits);
  Value* i32(uint32_t value) { return builder_.getInt32(value); }
  Value* f32(double value) { return llvm::ConstantFP::get(builder_.getFloatTy(), value); }
  Value* symbolAddress(const Instruction& i, const Operand& operand);  // in its own space, an integer
  llvm::CallInst* mark(Marker which, llvm::ArrayRef<Value*> arguments = {});
  Value* specialRegister(const Instruction& i, const Operand& operand);
  Value* laneMask(ptx::SpecialRegister which);
  Value* intrinsic(llvm::Intrinsic::ID id, llvm::ArrayRef<Value*> arguments);

  // memory.cc
  Value* addressOf(const Instruction& i, const Operand& address, Space space);  // a host pointer
  Value* sharedBase();
  Value* variablePointer(const Instruction& i, const Operand& operand);
  struct Access {
    Space space = Space::None;
    bool readOnly = false, isVolatile = false;
    llvm::AtomicOrdering ordering = llvm::AtomicOrdering::NotAtomic;
  };
  Access accessOf(const Instruction& i);
  // `wholeAlignment`: what the address has; more than the element's size where that is part of a vector.
  Value* loadElement(const Access& access, Value* pointer, Type type, uint32_t wholeAlignment);
  void storeElement(const Access& access, Value* pointer, Value* value, uint32_t wholeAlignment);
  bool isOneAccess(const Access& access, const Operand& vector, Type type) const;
  void loadAtOnce(const Instruction& i, const Access& access, Value* pointer);
  void storeAtOnce(const Instruction& i, const Access& access, Value* pointer);
  Value* alignedOrTrap(Value* pointer, uint64_t bytes);
  void tagAlignment(llvm::Instruction* access, uint64_t bytes);
  void tagSpace(llvm::Instruction* access, Space space);
  Value* byteOffset(Value* pointer, uint64_t bytes);
  Value* widened(Value* address);  // an integer address as i64

  // rounding.cc
  Rounding roundingOf(const Instruction& i);
  Value* flush(const Instruction& i, Value* value);  // subnormals to zero if .ftz
  Value* saturate(const Instruction& i, Value* value);
  Value* nextToward(Value* value, Value* up,
                    Value* change);                      // one step of a float's last place where `change`
  Value* oddDouble(Value* value, Value* error);          // a double whose last bit tells that it is inexact
  Value* narrowDouble(Value* value, Rounding rounding);  // double to float
  Value* oddFloat(Value* value);                         // double to float, rounded to odd
  Value* adjust(Value* nearest, Value* error, Rounding rounding);
  Value* roundedAdd(Value* a, Value* b, Rounding rounding);
  Value* roundedMul(Value* a, Value* b, Rounding rounding);
  Value* roundedFma(Value* a, Value* b, Value* c, Rounding rounding);
  Value* roundedDiv(Value* a, Value* b, Rounding rounding);
  Value* roundedSqrt(Value* a, Rounding rounding);
  std::pair<Value*, Value*> twoSum(Value* a, Value* b);
  Value* isNan(Value* value) { return builder_.CreateFCmpUNO(value, value); }
  Value* canonical(Value* value);  // NaN as PTX writes it

  // half.cc
  Value* halfToFloat(Value* bits, Type type);  // i16 to float; exact
  Value* floatToHalf(Value* value, Type type, Rounding rounding = Rounding::Nearest);
  Value* lane(Value* packed, unsigned index);  // i16 of i32
  Value* pack(Value* low, Value* high);
  using HalfOperation = std::function<Value*(llvm::ArrayRef<Value*>)>;  // on i16 bits
  Value* eachHalf(Type type, llvm::ArrayRef<Value*> arguments, const HalfOperation& operation);
  Value* halfFma(Value* a, Value* b, Value* c, Type type);
  Type scalarHalf(Type type) const;
  void halfArithmetic(const Instruction& i, llvm::Instruction::BinaryOps operation);
  void halfMinMax(const Instruction& i, bool isMin);
  Value* clampHalf(const Instruction& i, Value* bits, Type type);  // .sat, .relu

  // math.cc: approximations, vectorisable
  Value* polynomial(Value* x, llvm::ArrayRef<double> coefficients);  // highest first
  Value* exp2Approximation(Value* x);
  Value* log2Approximation(Value* x);
  Value* sineApproximation(Value* x, bool cosine);
  Value* tanhApproximation(Value* x);
  Value* rsqrtApproximation(Value* x);

  // arithmetic.cc, floating.cc, bits.cc, compare.cc, convert.cc, ...: one handler for each of opcodes.inc's
#define VGPU_HANDLER(name) void name(const Instruction& i);
#include "cpu_driver/jit/translate/handlers.inc"
#undef VGPU_HANDLER
  void refused(const Instruction& i) { unsupported(i); }
  void floatAddSub(const Instruction& i, bool subtract);
  Value* multiplyParts(const Instruction& i, Value* a, Value* b);
  Value* carry();
  void setCarry(Value* value);
  void addWithCarry(const Instruction& i, size_t dest, Value* a, Value* b, Value* carryIn, bool subtract);
  Value* minMaxOf(const Instruction& i, Value* a, Value* b, bool isMin);
  Value* floatMinMax(Value* a, Value* b, bool isMin, bool propagateNan);
  void packedMinMax(const Instruction& i, bool isMin);
  Value* shiftAmount(const Instruction& i, size_t index, unsigned bits, Value** tooFar);
  Value* comparison(const Instruction& i, Value* a, Value* b, Type type);
  Value* compareOperands(const Instruction& i, size_t a, size_t b, Type type);
  void setPacked(const Instruction& i, size_t next);
  void writeComparison(const Instruction& i, Value* result, size_t next, bool toRegister);
  Modifier comparisonOf(const Instruction& i) const;
  std::optional<Modifier> combinationOf(const Instruction& i) const;
  Value* combine(Modifier how, Value* a, Value* b);

  // convert.cc
  Value* convertIntegers(const Instruction& i, Value* value, Type to, Type from);
  Value* convertIntegerToFloat(const Instruction& i, Value* value, Type to, Type from);
  Value* convertFloatToInteger(const Instruction& i, Value* value, Type to);
  Value* convertFloats(const Instruction& i, Value* value, Type to, Type from);
  Value* roundToIntegral(const Instruction& i, Value* value);
  void convertPacked(const Instruction& i);
  Value* floatToFp8(Value* value, Type type, bool relu);
  Value* fp8ToHalf(Value* bits, Type type);
  Value* integerDirected(Value* value, bool isSigned, llvm::Type* to, Rounding rounding);

  // mov.cc
  void unpack(const Instruction& i, const Operand& vector, Value* bits);
  Value* packVector(const Instruction& i, const Operand& vector, unsigned bits);

  // atomic.cc
  llvm::AtomicOrdering orderingOf(const Instruction& i, llvm::AtomicOrdering fallback) const;
  Value* atomicElement(const Instruction& i, Value* pointer, Value* value, Value* swap, Type type);
  Value* atomicLoop(Value* pointer, unsigned bits, llvm::AtomicOrdering ordering, uint32_t alignment,
                    const std::function<Value*(Value*)>& next);

  // call.cc
  void callFunction(const Instruction& i, uint32_t callee);
  bool callBuiltin(const Instruction& i, const ptx::Function& callee);
  void callIndirect(const Instruction& i);
  Value* argumentPointer(const Instruction& i, const Operand& argument, const ptx::Variable& parameter);
  std::vector<Value*> argumentPointers(const Instruction& i, const std::vector<ptx::Variable>& parameters,
                                       const std::vector<ptx::Variable>& results);
  void readBackResults(const Instruction& i, const std::vector<ptx::Variable>& results,
                       llvm::ArrayRef<Value*> pointers);
  Value* argumentValue(const Instruction& i, uint32_t index, Type type);
  Value* asPointer(Value* address);

  // video.cc
  Value* videoLane(Opcode opcode, Value* a, Value* b);

  // warp.cc
  Value* memberMask(const Instruction& i, size_t index);
  void barrierReduce(const Instruction& i);
  void barrierCluster(const Instruction& i);

  // copy_async.cc
  void copyAsyncElement(const Instruction& i);
  void copyAsyncBulk(const Instruction& i);
  void copyWord(Value* to, Value* from, Value* limit, uint32_t at);

  // memory_barrier.cc
  struct Arrival {
    Value* count = nullptr;  // i32; null: none
    Value* bytes = nullptr;  // i32 added to the bytes expected; null: none
    bool drops = false;      // the following phases expect that many fewer
  };
  Value* arrive(Value* barrier, const Arrival& arrival);  // gives the state before
  void arriveAt(const Instruction& i, bool drops);
  void testPhase(const Instruction& i);
  void completeBytes(const Instruction& i, size_t barrier, Value* bytes);

  // matrix.cc, wmma.cc
  enum class MatrixRole { A, B, C };
  std::optional<kernel::MatrixOperation> matrixOperation(const Instruction& i);
  Value* matrixRegister(size_t offset, uint32_t index, uint32_t bytes);
  bool passMatrix(const Instruction& i, const Operand& operand, size_t offset, uint32_t words,
                  kernel::MatrixElement element);
  bool takeMatrix(const Instruction& i, const Operand& operand, uint32_t words,
                  kernel::MatrixElement element);
  void multiplyMatrices(const Instruction& i, const kernel::MatrixOperation& operation);
  void transferMatrices(const Instruction& i, bool loads);
  void transferFragment(const Instruction& i, const kernel::MatrixOperation& operation, MatrixRole role,
                        bool loads);
  Value* fragmentWord(const Access& access, Value* first, Value* stride, unsigned bits);
  void storeFragmentWord(const Access& access, Value* first, Value* stride, unsigned bits, Value* word);

  // texture.cc
  struct TextureOperands {
    Value* handle = nullptr;
    Value* coordinates[4] = {};
    uint32_t count = 0;
  };
  bool textureOperands(const Instruction& i, const Operand& operand, Type type, TextureOperands& out);
  Value* registers4(llvm::ArrayRef<Value*> values);
  std::optional<uint8_t> geometryOf(const Instruction& i) const;
  void writeTexels(const Instruction& i, const Operand& destination, Value* texels, Type type);
  Value* textureHandle(const Instruction& i, const Operand& operand);

  ModuleTranslator& module_;
  llvm::LLVMContext& context_;
  uint32_t index_;
  const ptx::Function& source_;
  const ptx::Body& body_;
  llvm::Function* function_;
  llvm::IRBuilder<> builder_;
  llvm::BasicBlock* entry_ = nullptr;
  llvm::Instruction* allocaPoint_ = nullptr;
  std::vector<llvm::AllocaInst*> registers_;
  std::vector<llvm::AllocaInst*> variables_;  // null for .shared
  std::vector<Value*> parameters_, results_;
  std::vector<llvm::BasicBlock*> labels_;
  std::vector<std::vector<uint32_t>> labelsAt_;
  llvm::AllocaInst* carry_ = nullptr;
  llvm::AllocaInst* matrixRegisters_ = nullptr;  // one kernel::MatrixRegisters, of all matrix instructions
  Operand sink_;
};

}  // namespace vgpu::jit
