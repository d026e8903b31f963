#include "cpu_driver/ptx/declaration.h"

#include <bit>
#include <cstring>

#include "cpu_driver/ptx/expression.h"

namespace vgpu::ptx {
namespace {

constexpr size_t kMaxDimensions = 16;
constexpr uint64_t kMaxVariableBytes = uint64_t{1}
                                       << 40;  // larger than any memory, small enough not to overflow

}  // namespace

uint32_t DeclarationParser::alignment() {
  uint32_t line = cursor_.line();
  uint64_t value = cursor_.expectInteger();
  if (value == 0 || !std::has_single_bit(value) || value > (1u << 20)) {
    cursor_.failAt(line, "an alignment must be a power of two");
    return 1;
  }
  return uint32_t(value);
}

// .ptr [.space] [.align n] of a kernel's parameter: hints that nothing here needs.
bool DeclarationParser::pointerAttributes() {
  if (!cursor_.acceptWord("ptr")) return false;
  if (cursor_.atDotWord() && spaceNamed(cursor_.token().text) != Space::None) cursor_.advance();
  if (cursor_.acceptWord("align")) alignment();
  return true;
}

void DeclarationParser::attributeList(Attributes& attributes) {
  cursor_.expect('(');
  while (!cursor_.atEnd() && !cursor_.at(')')) {
    if (cursor_.acceptWord("managed")) {
      attributes.managed = true;
    } else if (cursor_.acceptWord("unified")) {
      cursor_.expect('(');
      while (!cursor_.atEnd() && !cursor_.at(')')) cursor_.advance();
      cursor_.expect(')');
    } else {
      cursor_.failUnexpected("an attribute");
    }
    cursor_.accept(',');
  }
  cursor_.expect(')');
}

DeclarationParser::Attributes DeclarationParser::attributes() {
  Attributes found;
  while (cursor_.atDotWord()) {
    std::string_view word = cursor_.token().text;
    if (word == "align") {
      cursor_.advance();
      found.alignment = alignment();
    } else if (word == "attribute") {
      cursor_.advance();
      attributeList(found);
    } else if (word == "v2" || word == "v4" || word == "v8") {
      found.vectorWidth = uint32_t(word[1] - '0');
      cursor_.advance();
    } else if (pointerAttributes()) {
      continue;
    } else if (Type type = typeNamed(word); type != Type::None) {
      found.type = type;
      cursor_.advance();
    } else {
      cursor_.fail("unknown word '." + std::string(word.substr(0, 40)) + "' in a declaration");
    }
  }
  if (found.type == Type::None) cursor_.failUnexpected("a type");
  return found;
}

void DeclarationParser::dimensions(DeclaredVariable& declared) {
  dimensions_.clear();
  while (cursor_.accept('[')) {
    declared.variable.array = true;
    if (cursor_.accept(']')) {
      if (!dimensions_.empty()) cursor_.fail("only the first dimension of an array may be left out");
      dimensions_.push_back(0);
      continue;
    }
    int64_t count = parseInteger(cursor_);
    if (count < 0 || uint64_t(count) > kMaxVariableBytes)
      cursor_.fail("an array's dimension is out of range");
    if (dimensions_.size() == kMaxDimensions) cursor_.fail("an array has too many dimensions");
    dimensions_.push_back(uint64_t(count));
    cursor_.expect(']');
  }
}

DeclaredVariable DeclarationParser::declarator(const Attributes& attributes, Space space) {
  DeclaredVariable declared;
  declared.variable.line = cursor_.line();
  declared.variable.name = cursor_.expectName();
  declared.variable.space = space;
  declared.variable.type = attributes.type;
  declared.variable.managed = attributes.managed;
  declared.vectorWidth = attributes.vectorWidth;
  if (cursor_.accept('<')) {
    uint64_t count = cursor_.expectInteger();
    if (count == 0 || count > UINT32_MAX) cursor_.fail("a range of names is out of bounds");
    declared.rangeCount = uint32_t(count);
    cursor_.expect('>');
  }
  dimensions(declared);
  finish(declared, attributes);
  return declared;
}

void DeclarationParser::finish(DeclaredVariable& declared, const Attributes& attributes) {
  Variable& variable = declared.variable;
  uint64_t elements = attributes.vectorWidth, size = sizeOf(attributes.type);
  for (uint64_t dimension : dimensions_) {
    if (dimension != 0 && elements > kMaxVariableBytes / dimension) {
      cursor_.failAt(variable.line, "an array is too large");
      return;
    }
    elements *= dimension;
  }
  variable.elements = elements;
  variable.sizeBytes = elements * size;
  if (variable.sizeBytes > kMaxVariableBytes) cursor_.failAt(variable.line, "an array is too large");
  uint64_t natural = std::max<uint64_t>(1, size * attributes.vectorWidth);
  variable.alignment = attributes.alignment ? attributes.alignment : uint32_t(natural);
}

std::vector<DeclaredVariable> DeclarationParser::variables(Space space, Linkage linkage) {
  std::vector<DeclaredVariable> all;
  Attributes found = attributes();
  do {
    DeclaredVariable declared = declarator(found, space);
    declared.variable.linkage = linkage;
    if (cursor_.accept('=')) initializer(declared);
    if (declared.variable.sizeBytes == 0 && space != Space::Reg && linkage != Linkage::Extern &&
        sizeOf(found.type) != 0 && !cursor_.failed()) {
      cursor_.failAt(declared.variable.line,
                     "array '" + std::string(declared.variable.name.substr(0, 200)) + "' has no size");
    }
    all.push_back(std::move(declared));
  } while (cursor_.accept(',') && !cursor_.atEnd());
  cursor_.expect(';');
  return all;
}

std::vector<Variable> DeclarationParser::parameters(bool anonymous) {
  std::vector<Variable> all;
  cursor_.expect('(');
  uint64_t offset = 0;
  while (!cursor_.atEnd() && !cursor_.at(')')) {
    Space space = Space::None;
    if (cursor_.acceptWord("param")) space = Space::Param;
    if (cursor_.acceptWord("reg")) space = Space::Reg;
    if (space == Space::None) cursor_.failUnexpected("a parameter");
    Attributes found = attributes();
    // In a prototype a parameter may have no name at all.
    bool nameless = anonymous && !cursor_.atName();
    DeclaredVariable declared;
    if (nameless) {
      declared.variable.space = space;
      declared.variable.type = found.type;
      declared.variable.line = cursor_.line();
      dimensions(declared);
      finish(declared, found);
    } else {
      declared = declarator(found, space);
    }
    Variable& variable = declared.variable;
    if (found.type == Type::Pred && space == Space::Param)
      cursor_.failAt(variable.line, "a parameter cannot be a predicate");
    offset = (offset + variable.alignment - 1) & ~uint64_t{variable.alignment - 1};
    variable.offset = offset;
    offset += variable.sizeBytes;
    all.push_back(std::move(variable));
    if (!cursor_.at(')')) cursor_.expect(',');
  }
  cursor_.expect(')');
  return all;
}

}  // namespace vgpu::ptx
