// opcodes.inc in a form to check instructions with. Made once per process on first use; any thread.
#pragma once

#include <bitset>
#include <vector>

#include "cpu_driver/ptx/types.h"

namespace vgpu::ptx {

struct OperandPattern {
  char role = 0;          // d s a g l t, as in opcodes.inc
  char type = 0;          // 0 1 w u U b p @ x
  bool paired = false;    // after '|'
  bool optional = false;  // after '?'
};

struct OpcodeInfo {
  bool refused = false;
  bool anyTypes = false;
  bool typesOptional = false;  // of instructions whose operands are not checked by pattern
  bool patterned = false;
  uint8_t least = 0, most = 0;  // operands, without pattern
  std::bitset<size_t(Modifier::Count)> modifiers;
  std::bitset<size_t(Type::Count)> types[2];
  uint8_t typeCount = 0;
  std::vector<OperandPattern> operands;
};

const OpcodeInfo& infoOf(Opcode opcode);

}  // namespace vgpu::ptx
