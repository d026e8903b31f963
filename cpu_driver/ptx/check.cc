// Operands against their instruction: how many, which kind, which type (PTX ISA, 9.4.1: operand size
// exceeding instruction-type size, and the tables of operand compatibility).
#include "cpu_driver/ptx/body_parser.h"

namespace vgpu::ptx {
namespace {

Type wider(Type type) {
  switch (type) {
    case Type::U16:
      return Type::U32;
    case Type::S16:
      return Type::S32;
    case Type::U32:
      return Type::U64;
    case Type::S32:
      return Type::S64;
    default:
      return type;
  }
}

// Whether a register of `own` type can be an operand of type `wanted`.
bool fits(Type own, Type wanted) {
  if (own == Type::Pred || wanted == Type::Pred) return own == wanted;
  if (sizeOf(own) != sizeOf(wanted)) return false;
  if (kindOf(own) == Kind::Bits || kindOf(wanted) == Kind::Bits) return true;
  if (isInteger(own) && isInteger(wanted)) return true;
  // Half-precision values are untyped or typed, packed ones 32 bits of any sort but f32.
  if (sizeOf(wanted) == 2 || elementsOf(wanted) > 1 || elementsOf(own) > 1) return own != Type::F32;
  return kindOf(own) == kindOf(wanted);
}

// ld, st, cvt: a register may be wider than the instruction's type.
bool fitsWider(Type own, Type wanted) {
  if (own == Type::Pred || wanted == Type::Pred) return false;
  if (sizeOf(own) < sizeOf(wanted)) return false;
  if (sizeOf(own) == sizeOf(wanted)) return fits(own, wanted) || kindOf(wanted) == Kind::Alternate;
  if (kindOf(own) == Kind::Bits) return true;
  if (isFloating(wanted)) return false;
  return isInteger(own);
}

class Checker {
 public:
  Checker(const Instruction& instruction, const Body& body)
      : instruction_(instruction), body_(body), info_(infoOf(instruction.opcode)) {}

  std::string run() {
    if (instruction_.opcode == Opcode::Call) return {};
    bool ok = info_.patterned ? patterned() : counted();
    if (ok && (instruction_.opcode == Opcode::Ld || instruction_.opcode == Opcode::St)) ok = memory();
    if (ok && instruction_.opcode == Opcode::Cvt) ok = conversion();
    if (ok && instruction_.opcode == Opcode::Mov) ok = move();
    if (ok) return {};
    return "arguments mismatch for instruction '" + std::string(spelling(instruction_.opcode)) + "'" +
           reason_;
  }

 private:
  const Operand& operand(size_t i) const { return body_.operands[instruction_.operands + i]; }

  bool fail(size_t index, const char* why) {
    reason_ = ": operand " + std::to_string(index + 1) + " " + why;
    return false;
  }

  bool counted() {
    size_t count = instruction_.operandCount;
    if (count >= info_.least && count <= info_.most) return true;
    reason_ = ": " + std::to_string(count) + " operands";
    return false;
  }

  Type typeOf(char type) const {
    switch (type) {
      case '0':
        return instruction_.types[0];
      case '1':
        return instruction_.types[1];
      case 'w':
        return wider(instruction_.types[0]);
      case '@':
        return instruction_.has(Modifier::Wide) ? wider(instruction_.types[0]) : instruction_.types[0];
      case 'u':
        return Type::B32;
      case 'U':
        return Type::B64;
      case 'b':
        return Type::B16;
      case 'p':
        return Type::Pred;
      default:
        return Type::None;
    }
  }

  bool registerFits(size_t index, const Operand& operand, Type wanted) {
    if (wanted == Type::None) return true;
    Type own = body_.registers[operand.index].type;
    if (operand.negated && own != Type::Pred) return fail(index, "is negated and no predicate");
    return fits(own, wanted) || fail(index, "has the wrong type");
  }

  bool source(size_t index, const Operand& operand, Type wanted) {
    switch (operand.kind) {
      case Operand::Kind::Register:
        return registerFits(index, operand, wanted);
      case Operand::Kind::Integer:
        return wanted != Type::Pred || fail(index, "must be a predicate");
      case Operand::Kind::Float:
        return wanted == Type::None || isFloating(wanted) || kindOf(wanted) == Kind::Bits ||
               fail(index, "must be an integer");
      case Operand::Kind::Special:
      case Operand::Kind::ModuleVariable:
      case Operand::Kind::LocalVariable:
      case Operand::Kind::Parameter:
      case Operand::Kind::Function:
        return isInteger(wanted) || wanted == Type::None || fail(index, "must be a register or a constant");
      default:
        return fail(index, "must be a register or a constant");
    }
  }

  bool matches(size_t index, const Operand& operand, const OperandPattern& pattern) {
    Type wanted = typeOf(pattern.type);
    switch (pattern.role) {
      case 'd':
        if (operand.kind == Operand::Kind::Sink) return true;
        if (operand.kind != Operand::Kind::Register) return fail(index, "must be a register");
        return !operand.negated ? registerFits(index, operand, wanted) : fail(index, "must not be negated");
      case 's':
        return source(index, operand, wanted);
      case 'g':
        if (operand.kind != Operand::Kind::Register) return fail(index, "must be a predicate");
        return registerFits(index, operand, Type::Pred);
      case 'a':
        return operand.kind == Operand::Kind::Address || fail(index, "must be an address");
      case 'l':
        return operand.kind == Operand::Kind::Label || fail(index, "must be a label");
      default:
        return true;
    }
  }

  bool patterned() {
    size_t next = 0, count = instruction_.operandCount;
    bool pairAllowed = false;
    for (const OperandPattern& pattern : info_.operands) {
      pairAllowed |= pattern.paired;
      if (pattern.paired && !instruction_.paired) continue;
      if (next == count) {
        if (pattern.optional) return true;
        reason_ = ": too few operands";
        return false;
      }
      if (!matches(next, operand(next), pattern)) return false;
      ++next;
    }
    if (next == count && pairAllowed >= instruction_.paired) return true;
    reason_ = ": too many operands";
    return false;
  }

  // A register or a constant that is loaded, stored or converted.
  bool value(size_t index, const Operand& operand, Type type, bool written) {
    if (operand.kind == Operand::Kind::Sink) return true;
    if (operand.kind == Operand::Kind::Register) {
      return fitsWider(body_.registers[operand.index].type, type) || fail(index, "has the wrong type");
    }
    if (written) return fail(index, "must be a register");
    return operand.kind != Operand::Kind::Address && operand.kind != Operand::Kind::Vector &&
                   operand.kind != Operand::Kind::Texture
               ? true
               : fail(index, "must be a register or a constant");
  }

  bool memory() {
    bool loads = instruction_.opcode == Opcode::Ld;
    size_t data = loads ? 0 : 1, address = loads ? 1 : 0;
    if (instruction_.typeCount != 1) return false;
    if (operand(address).kind != Operand::Kind::Address) return fail(address, "must be an address");
    const Operand& values = operand(data);
    uint32_t width = instruction_.has(Modifier::V2)   ? 2
                     : instruction_.has(Modifier::V4) ? 4
                     : instruction_.has(Modifier::V8) ? 8
                                                      : 1;
    if (values.kind != Operand::Kind::Vector) {
      return width == 1 ? value(data, values, instruction_.types[0], loads) : fail(data, "must be a vector");
    }
    if (values.count != width) return fail(data, "has the wrong number of elements");
    for (uint32_t i = 0; i < width; ++i) {
      if (!value(data, body_.operands[values.index + i], instruction_.types[0], loads)) return false;
    }
    return true;
  }

  bool conversion() {
    if (instruction_.typeCount != 2) return false;
    if (!value(0, operand(0), instruction_.types[0], true)) return false;
    for (size_t i = 1; i < instruction_.operandCount; ++i) {
      if (!value(i, operand(i), instruction_.types[1], false)) return false;
    }
    return true;
  }

  uint32_t vectorBytes(const Operand& vector) const {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < vector.count; ++i) {
      const Operand& element = body_.operands[vector.index + i];
      if (element.kind != Operand::Kind::Register) return 0;
      bytes += sizeOf(body_.registers[element.index].type);
    }
    return bytes;
  }

  bool move() {
    if (instruction_.typeCount != 1) return false;
    Type type = instruction_.types[0];
    for (size_t i = 0; i < 2; ++i) {
      const Operand& side = operand(i);
      if (side.kind == Operand::Kind::Vector) {
        uint32_t bytes = vectorBytes(side);
        if (bytes != 0 && bytes != sizeOf(type)) return fail(i, "has elements of the wrong size");
      } else if (side.kind == Operand::Kind::Register) {
        if (!registerFits(i, side, type)) return false;
      } else if (i == 0 && side.kind != Operand::Kind::Sink) {
        return fail(i, "must be a register");
      } else if (side.kind == Operand::Kind::Address || side.kind == Operand::Kind::Texture) {
        return fail(i, "must not be an address in brackets");
      }
    }
    return true;
  }

  const Instruction& instruction_;
  const Body& body_;
  const OpcodeInfo& info_;
  std::string reason_;
};

}  // namespace

std::string checkInstruction(const Instruction& instruction, const Body& body) {
  return Checker(instruction, body).run();
}

}  // namespace vgpu::ptx
