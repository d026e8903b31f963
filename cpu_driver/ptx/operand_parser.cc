// Operands and the names in them. Part of BodyParser.
#include <charconv>

#include "cpu_driver/ptx/body_parser.h"
#include "cpu_driver/ptx/expression.h"

namespace vgpu::ptx {
namespace {

constexpr int kDeepestGroup = 8;
constexpr size_t kMostElements = 4096;

std::string quote(std::string_view name) { return "'" + std::string(name.substr(0, 200)) + "'"; }

const std::unordered_map<std::string_view, SpecialRegister>& specialRegisters() {
  static const std::unordered_map<std::string_view, SpecialRegister> names = {
#define PTX_SPECIAL_REGISTER(id, spelling, type) {spelling, SpecialRegister::id},
#include "cpu_driver/ptx/special_registers.inc"
#undef PTX_SPECIAL_REGISTER
  };
  return names;
}

bool isNumber(const Token& token) {
  return token.kind == Token::Kind::Integer || token.kind == Token::Kind::Float;
}

}  // namespace

uint32_t BodyParser::append(const std::vector<Operand>& list) {
  uint32_t first = uint32_t(body_.operands.size());
  body_.operands.insert(body_.operands.end(), list.begin(), list.end());
  for (size_t i = 0; i < list.size(); ++i) {
    // A label was noted with its place in the pending list; now its operand has an index.
    if (list[i].kind == Operand::Kind::Label) pendingLabels_[list[i].index].operand = first + uint32_t(i);
  }
  return first;
}

const BodyParser::Name* BodyParser::findInRanges(Scope& scope, std::string_view name) {
  size_t digits = name.size();
  while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
  if (digits == name.size() || digits == 0) return nullptr;
  if (name[digits] == '0' && digits + 1 < name.size()) return nullptr;  // %r01 is no name of %r<n>
  auto range = scope.ranges.find(name.substr(0, digits));
  if (range == scope.ranges.end()) return nullptr;
  uint32_t number = 0;
  auto [end, code] = std::from_chars(name.data() + digits, name.data() + name.size(), number);
  if (code != std::errc() || number >= range->second.count) return nullptr;
  uint32_t width = range->second.width;
  Name made{width > 1 ? Name::Kind::VectorRegister : Name::Kind::Register, 0, width};
  made.index = addRegister(name, range->second.type, width);
  return &scope.names.emplace(name, made).first->second;
}

const BodyParser::Name* BodyParser::find(std::string_view name) {
  for (size_t i = scopes_.size(); i-- > 0;) {
    auto found = scopes_[i].names.find(name);
    if (found != scopes_[i].names.end()) return &found->second;
    if (const Name* made = findInRanges(scopes_[i], name)) return made;
  }
  return nullptr;
}

// A register, perhaps with .x of a vector, .b0 or .h1 of a video operand.
Operand BodyParser::registerElement(const Name& name) {
  Operand made;
  made.kind = Operand::Kind::Register;
  made.index = name.index;
  bool vector = name.kind == Name::Kind::VectorRegister;
  if (!cursor_.atDotWord()) {
    if (!vector) return made;
    std::vector<Operand> elements;
    for (uint32_t i = 0; i < name.width; ++i) {
      elements.push_back(made);
      ++made.index;
    }
    made.kind = Operand::Kind::Vector;
    made.count = name.width;
    made.index = append(elements);
    return made;
  }
  std::string_view word = cursor_.take().text;
  size_t element = word.size() == 1 ? std::string_view("xyzwrgba").find(word[0]) : std::string_view::npos;
  if (vector && element != std::string_view::npos && element % 4 < name.width) {
    made.index += uint32_t(element % 4);
  } else if (!vector && word.size() == 2 && word[0] == 'b' && word[1] >= '0' && word[1] <= '3') {
    made.selector = uint8_t(0x10 + (word[1] - '0'));
  } else if (!vector && word.size() == 2 && word[0] == 'h' && word[1] >= '0' && word[1] <= '1') {
    made.selector = uint8_t(0x20 + (word[1] - '0'));
  } else {
    cursor_.fail("'." + std::string(word.substr(0, 40)) + "' selects no element of a register");
  }
  return made;
}

Operand BodyParser::specialRegister(std::string_view name) {
  Operand made;
  made.kind = Operand::Kind::Special;
  std::string key(name.substr(1, 60));
  if (cursor_.atDotWord()) key += "." + std::string(cursor_.take().text.substr(0, 8));
  if (key.starts_with("envreg")) {
    std::from_chars(key.data() + 6, key.data() + key.size(), made.bits);
    if (made.bits < 0 || made.bits > 31) cursor_.fail("there is no register %" + key);
    key = "envreg";
  }
  auto found = specialRegisters().find(key);
  if (found == specialRegisters().end()) {
    cursor_.fail("unknown symbol '%" + key + "'");
  } else {
    made.index = uint32_t(found->second);
  }
  return made;
}

// A name that is none of the function's or the module's: perhaps a label, known later.
Operand BodyParser::unknown(const Instruction& instruction, std::string_view name, uint32_t line) {
  Operand made;
  bool target = instruction.opcode == Opcode::Bra || instruction.opcode == Opcode::Brx ||
                instruction.opcode == Opcode::Call;
  if (!target || name.starts_with('%')) {
    cursor_.failAt(line, "unknown symbol " + quote(name));
    return made;
  }
  made.kind = Operand::Kind::Label;
  made.index = uint32_t(pendingLabels_.size());
  Operand::Kind wanted = instruction.opcode == Opcode::Bra ? Operand::Kind::Label : Operand::Kind::Targets;
  pendingLabels_.push_back({kNoIndex, 0, 0, scopes_.back().id, line, name, wanted});
  return made;
}

Operand BodyParser::named(const Instruction& instruction) {
  Token token = cursor_.take();
  Operand made;
  if (token.text == "_") return made;
  // A target of a branch is a label, whatever else has that name.
  if (instruction.opcode == Opcode::Bra) return unknown(instruction, token.text, token.line);
  if (const Name* name = find(token.text)) {
    if (name->kind == Name::Kind::Register || name->kind == Name::Kind::VectorRegister)
      return registerElement(*name);
    made.kind = name->kind == Name::Kind::Variable    ? Operand::Kind::LocalVariable
                : name->kind == Name::Kind::Parameter ? Operand::Kind::Parameter
                                                      : Operand::Kind::Result;
    made.index = name->index;
    return made;
  }
  if (token.text.starts_with('%')) return specialRegister(token.text);
  if (auto found = module_.variableNames.find(token.text); found != module_.variableNames.end()) {
    made.kind = Operand::Kind::ModuleVariable;
    made.index = found->second;
  } else if (auto function = module_.functionNames.find(token.text);
             function != module_.functionNames.end()) {
    made.kind = Operand::Kind::Function;
    made.index = function->second;
  } else {
    return unknown(instruction, token.text, token.line);
  }
  return made;
}

// + constant or - constant after a name.
void BodyParser::addOffset(Operand& operand) {
  if (!cursor_.at('+') && !cursor_.at('-')) return;
  bool minus = cursor_.take().is('-');
  uint64_t value = uint64_t(parseInteger(cursor_));
  operand.bits = int64_t(uint64_t(operand.bits) + (minus ? 0 - value : value));
}

Operand BodyParser::constant() {
  Constant value = parseConstant(cursor_);
  Operand made;
  made.kind = value.isFloat ? Operand::Kind::Float : Operand::Kind::Integer;
  made.single = value.single;
  made.bits = int64_t(value.bits);
  return made;
}

// [base], [base + n], [n]; [object, {coordinates}], [object, sampler, {coordinates}].
Operand BodyParser::address(const Instruction& instruction) {
  cursor_.expect('[');
  std::vector<Operand> parts;
  int64_t offset = 0;
  while (!cursor_.atEnd() && !cursor_.at(']') && parts.size() < 8) {
    Operand part = operand(instruction);
    if (part.kind == Operand::Kind::Register) addOffset(part);
    offset = part.bits;
    parts.push_back(part);
    if (!cursor_.at(']')) cursor_.expect(',');
  }
  cursor_.expect(']');
  Operand made;
  made.kind = parts.size() == 1 ? Operand::Kind::Address : Operand::Kind::Texture;
  made.count = uint32_t(parts.size());
  if (parts.empty()) cursor_.fail("an address is missing");
  if (parts.size() == 1) {
    made.bits = offset;
    if (parts[0].kind == Operand::Kind::Integer) made.count = 0;
    if (parts[0].kind == Operand::Kind::Sink || parts[0].kind == Operand::Kind::Float)
      cursor_.fail("no address");
    parts[0].bits = 0;
  }
  made.index = append(parts);
  return made;
}

Operand BodyParser::group(const Instruction& instruction, char16_t close, Operand::Kind kind) {
  cursor_.advance();
  std::vector<Operand> elements;
  if (++groupDepth_ > kDeepestGroup) cursor_.fail("operands are nested too deeply");
  while (!cursor_.atEnd() && !cursor_.at(close)) {
    elements.push_back(operand(instruction));
    if (elements.size() > kMostElements) cursor_.fail("an operand has too many elements");
    if (!cursor_.at(close)) cursor_.expect(',');
  }
  --groupDepth_;
  cursor_.expect(close);
  Operand made;
  made.kind = kind;
  made.count = uint32_t(elements.size());
  made.index = append(elements);
  return made;
}

Operand BodyParser::operand(const Instruction& instruction) {
  if (cursor_.at('{')) return group(instruction, '}', Operand::Kind::Vector);
  if (cursor_.at('[')) {
    if (++groupDepth_ > kDeepestGroup) cursor_.fail("operands are nested too deeply");
    Operand made = address(instruction);
    --groupDepth_;
    return made;
  }
  if (cursor_.at('!')) {
    cursor_.advance();
    if (!cursor_.atName()) {
      cursor_.failUnexpected("a predicate");
      return {};
    }
    Operand made = named(instruction);
    made.negated = true;
    if (made.kind != Operand::Kind::Register) cursor_.fail("only a predicate can be negated");
    return made;
  }
  if (cursor_.atName() && cursor_.token().text != "WARP_SZ") {
    Operand made = named(instruction);
    if (made.kind == Operand::Kind::ModuleVariable || made.kind == Operand::Kind::LocalVariable ||
        made.kind == Operand::Kind::Parameter || made.kind == Operand::Kind::Result) {
      addOffset(made);
    }
    return made;
  }
  bool starts = isNumber(cursor_.token()) || cursor_.at('(') || cursor_.at('-') || cursor_.at('+') ||
                cursor_.at('~') || cursor_.atName();
  if (!starts) {
    cursor_.failUnexpected("an operand");
    return {};
  }
  return constant();
}

}  // namespace vgpu::ptx
