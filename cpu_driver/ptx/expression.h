// Constant expressions (PTX ISA, 4.5 and 4.6): 64-bit integers and doubles, C's operators.
// Runs where load() runs. The text is untrusted: nesting is bounded, division by zero and overflow are
// defined.
#pragma once

#include "cpu_driver/ptx/cursor.h"

namespace vgpu::ptx {

struct Constant {
  bool isFloat = false;
  bool single = false;  // a lone 0f literal: `bits` are the float's 32 bits
  bool isUnsigned = false;
  uint64_t bits = 0;  // the integer, or a double's bits
};

// At an integer, a float, '(' , a unary operator or WARP_SZ. Fails the cursor on anything else.
Constant parseConstant(Cursor& cursor);
// The same, where only an integer makes sense.
int64_t parseInteger(Cursor& cursor);

// A constant as bits of a value of `type` (f16 and bf16 are not written as literals: their bits are).
uint64_t encode(const Constant& constant, Type type);

}  // namespace vgpu::ptx
