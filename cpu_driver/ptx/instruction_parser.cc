// Instructions: opcode, modifiers, types, operands. Part of BodyParser.
#include <algorithm>

#include "cpu_driver/ptx/body_parser.h"

namespace vgpu::ptx {
namespace {

constexpr size_t kMostOperands = 255;
constexpr size_t kLongestRefusal = 200;

}  // namespace

// @p instruction, @!p instruction
void BodyParser::guarded() {
  cursor_.expect('@');
  guardNegated_ = cursor_.accept('!');
  uint32_t line = cursor_.line();
  std::string_view name = cursor_.expectName();
  if (cursor_.failed()) return;
  const Name* found = find(name);
  if (found == nullptr)
    return cursor_.failAt(line, "unknown symbol '" + std::string(name.substr(0, 200)) + "'");
  bool predicate = found->kind == Name::Kind::Register && body_.registers[found->index].type == Type::Pred;
  if (!predicate) return cursor_.failAt(line, "the guard of an instruction must be a predicate register");
  guard_ = found->index;
  Token opcode = cursor_.token();
  if (!cursor_.atName()) return cursor_.failUnexpected("an instruction");
  cursor_.advance();
  instruction(opcode.text, opcode.line, opcode.offset);
}

// .word after an opcode. False if the instruction is not supported; the cursor fails if a word is none of
// PTX's.
bool BodyParser::suffixes(Instruction& instruction) {
  const OpcodeInfo& info = infoOf(instruction.opcode);
  bool supported = !info.refused;
  while (cursor_.atDotWord()) {
    std::string_view word = cursor_.token().text;
    if (Type type = typeNamed(word); type != Type::None) {
      if (instruction.typeCount < 4) {
        size_t at = instruction.typeCount++;
        instruction.types[at] = type;
        supported =
            supported && (info.anyTypes || (at < info.typeCount && info.types[at].test(size_t(type))));
      } else {
        supported = false;
      }
    } else if (Modifier modifier = modifierNamed(word); modifier != Modifier::None) {
      supported = supported && instruction.modifierCount < 8 && info.modifiers.test(size_t(modifier));
      if (instruction.modifierCount < 8) instruction.modifiers[instruction.modifierCount++] = modifier;
    } else if (Space space = spaceNamed(word); space != Space::None) {
      (instruction.space == Space::None ? instruction.space : instruction.toSpace) = space;
    } else if (info.refused) {
      supported = false;  // its modifiers are not all listed
    } else {
      cursor_.fail("unknown modifier '." + std::string(word.substr(0, 80)) + "'");
    }
    cursor_.advance();
  }
  return supported;
}

void BodyParser::refuse(const Instruction& instruction) {
  uint32_t end = cursor_.offset();
  std::string_view text =
      std::string_view(module_.text).substr(instruction.textOffset, end - instruction.textOffset);
  std::string what;
  for (char c : text.substr(0, kLongestRefusal)) {
    if (c > ' ' && c <= '~') what += c;
  }
  if (!body_.unsupported) body_.unsupported = Unsupported{instruction.line, what};
  cursor_.skipStatement();
}

void BodyParser::instruction(std::string_view name, uint32_t line, uint32_t offset) {
  Instruction made;
  made.opcode = opcodeNamed(name);
  made.line = line;
  made.textOffset = offset;
  made.guard = guard_;
  made.guardNegated = guardNegated_;
  guard_ = kNoIndex;
  guardNegated_ = false;
  if (cursor_.failed()) return;
  if (made.opcode == Opcode::None) {
    return cursor_.failAt(line,
                          "'" + std::string(name.substr(0, 80)) + "' is no name of any known instruction");
  }
  if (!suffixes(made)) {
    if (!cursor_.failed()) refuse(made);
    return;
  }
  const OpcodeInfo& info = infoOf(made.opcode);
  if (info.patterned && made.typeCount < info.typeCount && !info.anyTypes) {
    return cursor_.failAt(line, "a type is missing after '" + std::string(name) + "'");
  }
  operands(made);
  if (cursor_.failed()) return;
  if (std::string why = checkInstruction(made, body_); !why.empty()) return cursor_.failAt(line, why);
  body_.instructions.push_back(made);
}

void BodyParser::operands(Instruction& instruction) {
  std::vector<Operand> list;
  if (instruction.opcode == Opcode::Call) {
    callOperands(list);
  } else {
    while (!cursor_.atEnd() && !cursor_.at(';')) {
      list.push_back(operand(instruction));
      if (list.size() <= 2 && cursor_.accept('|')) {
        list.push_back(operand(instruction));
        instruction.paired = true;
      }
      if (!cursor_.at(';')) cursor_.expect(',');
    }
  }
  cursor_.expect(';');
  if (list.size() > kMostOperands) return cursor_.fail("an instruction has too many operands");
  instruction.operands = append(list);
  instruction.operandCount = uint8_t(list.size());
}

// call {(results),} callee {, (arguments)} {, prototype or targets}: as operands results, callee, arguments,
// prototype.
void BodyParser::callOperands(std::vector<Operand>& list) {
  Instruction call;
  call.opcode = Opcode::Call;
  list.resize(4);
  if (cursor_.at('(')) {
    list[0] = group(call, ')', Operand::Kind::Arguments);
    cursor_.expect(',');
  }
  list[1] = operand(call);
  if (cursor_.accept(',')) {
    if (cursor_.at('(')) {
      list[2] = group(call, ')', Operand::Kind::Arguments);
      if (cursor_.accept(',')) list[3] = operand(call);
    } else {
      list[3] = operand(call);
    }
  }
}

}  // namespace vgpu::ptx
