// Initial values of variables: the second half of DeclarationParser.
#include <bit>
#include <cstring>

#include "cpu_driver/ptx/declaration.h"
#include "cpu_driver/ptx/expression.h"

namespace vgpu::ptx {

// Room for `sizeBytes` of the value at `offset`; null after a failure.
std::byte* DeclarationParser::initialBytes(Variable& variable, uint64_t offset, uint64_t sizeBytes) {
  bool open = !dimensions_.empty() && dimensions_[0] == 0;
  if (!open && offset + sizeBytes > variable.sizeBytes) {
    cursor_.fail("too many initial values for '" + std::string(variable.name.substr(0, 200)) + "'");
    return nullptr;
  }
  uint64_t end = offset + sizeBytes;
  if (end > variable.initial.size()) {
    uint64_t growth = end - variable.initial.size();
    if (growth > initialBudget_) {
      cursor_.fail("the initial values leave too large gaps");
      return nullptr;
    }
    initialBudget_ -= growth;
    variable.initial.resize(end);
  }
  return variable.initial.data() + offset;
}

bool DeclarationParser::generic() {
  if (!cursor_.acceptName("generic")) return false;
  cursor_.expect('(');
  return true;
}

// symbol, symbol + n, generic(symbol) + n, and mask(symbol), which is one byte of an address.
void DeclarationParser::symbolElement(DeclaredVariable& declared, uint64_t offset, uint64_t mask) {
  Variable& variable = declared.variable;
  Relocation relocation;
  relocation.offset = uint32_t(offset);
  relocation.sizeBytes = uint8_t(sizeOf(variable.type));
  if (mask != 0) {
    relocation.shift = uint8_t(std::countr_zero(mask));
    if (relocation.shift % 8 != 0 || mask >> relocation.shift != 0xff)
      cursor_.fail("a mask must select one byte");
    relocation.sizeBytes = 1;
    cursor_.expect('(');
  }
  relocation.generic = generic();
  PendingSymbol pending{uint32_t(variable.relocations.size()), {}, cursor_.line()};
  pending.name = cursor_.expectName();
  if (relocation.generic) cursor_.expect(')');
  if (mask != 0 && cursor_.at(')')) cursor_.advance();
  if (cursor_.at('+') || cursor_.at('-')) {
    bool minus = cursor_.take().is('-');
    uint64_t addend = cursor_.expectInteger();
    relocation.addend = int64_t(minus ? 0 - addend : addend);
  }
  if (offset > UINT32_MAX) cursor_.fail("an address lies too far inside a variable");
  if (mask == 0 && relocation.sizeBytes != 8 && relocation.sizeBytes != 4) {
    cursor_.fail("an address does not fit into an element of this type");
  }
  if (initialBytes(variable, offset, sizeOf(variable.type)) == nullptr) return;
  variable.relocations.push_back(relocation);
  declared.symbols.push_back(pending);
}

void DeclarationParser::element(DeclaredVariable& declared, uint64_t offset) {
  Variable& variable = declared.variable;
  uint32_t size = sizeOf(variable.type);
  if (cursor_.atName() && cursor_.token().text != "WARP_SZ") return symbolElement(declared, offset, 0);
  Constant value = parseConstant(cursor_);
  if (cursor_.at('(') && !value.isFloat && value.bits != 0)
    return symbolElement(declared, offset, value.bits);
  if (cursor_.failed()) return;
  if (size == 0 || size > 16) return cursor_.fail("a variable of this type cannot be initialised");
  std::byte* bytes = initialBytes(variable, offset, size);
  if (bytes == nullptr) return;
  uint64_t bits[2] = {encode(value, variable.type), 0};
  if (size == 16 && !value.isUnsigned && int64_t(bits[0]) < 0) bits[1] = UINT64_MAX;
  std::memcpy(bytes, bits, size);
}

// At a '{'. Returns the offset after the last value.
uint64_t DeclarationParser::list(DeclaredVariable& declared, size_t level, uint64_t offset) {
  uint64_t stride = sizeOf(declared.variable.type);
  bool innermost = level + 1 >= dimensions_.size();
  if (level == 0 && dimensions_.size() <= 1 && declared.vectorWidth > 1) innermost = true;
  for (size_t i = level + 1; i < dimensions_.size(); ++i) stride *= dimensions_[i];
  if (!innermost) stride *= declared.vectorWidth;
  cursor_.expect('{');
  while (!cursor_.atEnd() && !cursor_.at('}')) {
    if (cursor_.at('{')) {
      // Braces around the elements of a vector, or of an inner dimension.
      if (level > dimensions_.size()) cursor_.fail("an initial value has too many braces");
      list(declared, level + 1, offset);
      offset += innermost ? stride * declared.vectorWidth : stride;
    } else {
      element(declared, offset);
      offset += sizeOf(declared.variable.type);
    }
    if (!cursor_.at('}')) cursor_.expect(',');
  }
  cursor_.expect('}');
  return offset;
}

// addr_mode_0 = wrap, filter_mode = linear, ...: sampler state of texmode_independent, which a driver sets
// anew.
void DeclarationParser::samplerFields() {
  cursor_.expect('{');
  while (!cursor_.atEnd() && !cursor_.at('}')) {
    cursor_.expectName();
    cursor_.expect('=');
    cursor_.advance();
    if (!cursor_.at('}')) cursor_.expect(',');
  }
  cursor_.expect('}');
}

void DeclarationParser::initializer(DeclaredVariable& declared) {
  Variable& variable = declared.variable;
  if (variable.space != Space::Global && variable.space != Space::Const) {
    return cursor_.fail("only .global and .const variables can be initialised");
  }
  if (kindOf(variable.type) == Kind::Opaque) return samplerFields();
  uint64_t end = sizeOf(variable.type);
  if (cursor_.at('{')) {
    end = list(declared, 0, 0);
  } else {
    element(declared, 0);
  }
  if (!dimensions_.empty() && dimensions_[0] == 0) {
    variable.sizeBytes = std::max<uint64_t>(end, variable.initial.size());
    variable.elements = sizeOf(variable.type) ? variable.sizeBytes / sizeOf(variable.type) : 0;
  }
}

}  // namespace vgpu::ptx
