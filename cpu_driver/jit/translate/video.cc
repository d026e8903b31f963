// SIMD video instructions on 2 halves or 4 bytes. Masks and selections of lanes are refused.
#include "cpu_driver/jit/translate/function_translator.h"

namespace vgpu::jit {
namespace {

unsigned lanesOf(Opcode opcode) {
  switch (opcode) {
    case Opcode::Vadd4:
    case Opcode::Vsub4:
    case Opcode::Vabsdiff4:
    case Opcode::Vmin4:
    case Opcode::Vmax4:
      return 4;
    default:
      return 2;
  }
}

}  // namespace

// One lane in 32 bits, before it is cut to its size.
llvm::Value* FunctionTranslator::videoLane(Opcode opcode, Value* a, Value* b) {
  switch (opcode) {
    case Opcode::Vadd2:
    case Opcode::Vadd4:
      return builder_.CreateAdd(a, b);
    case Opcode::Vsub2:
    case Opcode::Vsub4:
      return builder_.CreateSub(a, b);
    case Opcode::Vmin2:
    case Opcode::Vmin4:
      return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, a, b);
    case Opcode::Vmax2:
    case Opcode::Vmax4:
      return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, a, b);
    default: {
      Value* difference = builder_.CreateSub(a, b);
      return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, difference,
                                            builder_.CreateNeg(difference));
    }
  }
}

// d = the lanes' results, or with .add the sum of them and c.
void FunctionTranslator::videoPacked(const Instruction& i) {
  if (i.typeCount != 3 || i.operandCount != 4) return unsupported(i);
  for (size_t k = 0; k < 4; ++k) {
    if (operand(i, k).selector != 0) return unsupported(i);
  }
  unsigned lanes = lanesOf(i.opcode), bits = 32 / lanes;
  bool isSigned = ptx::isSigned(i.types[0]);
  Value* sources[2] = {read(i, 1, Type::B32), read(i, 2, Type::B32)};
  Value* sum = i.has(Modifier::Add) ? read(i, 3, Type::B32) : i32(0);
  uint32_t top = 1u << (bits - 1);
  for (unsigned lane = 0; lane < lanes; ++lane) {
    Value* parts[2];
    for (unsigned k = 0; k < 2; ++k) {
      Value* up = builder_.CreateShl(sources[k], 32 - bits * (lane + 1));
      parts[k] = ptx::isSigned(i.types[1 + k]) ? builder_.CreateAShr(up, 32 - bits)
                                               : builder_.CreateLShr(up, 32 - bits);
    }
    Value* value = videoLane(i.opcode, parts[0], parts[1]);
    if (i.has(Modifier::Sat)) {
      Value* low = isSigned ? i32(0 - top) : i32(0);
      Value* high = isSigned ? i32(top - 1) : i32(2 * top - 1);
      value = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, value, low);
      value = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, value, high);
    }
    Value* up = builder_.CreateShl(value, 32 - bits);
    value = isSigned ? builder_.CreateAShr(up, 32 - bits) : builder_.CreateLShr(up, 32 - bits);
    if (i.has(Modifier::Add)) {
      sum = builder_.CreateAdd(sum, value);
    } else {
      Value* cut = builder_.CreateLShr(builder_.CreateShl(value, 32 - bits), 32 - bits);
      sum = builder_.CreateOr(sum, builder_.CreateShl(cut, bits * lane));
    }
  }
  write(i, 0, sum, Type::B32);
}

}  // namespace vgpu::jit
