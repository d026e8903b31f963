// The fundamental types, state spaces, opcodes and modifiers of PTX, generated from the tables *.inc.
// Any thread; owns nothing. Names come from the PTX text, which is untrusted: an unknown name is None.
#pragma once

#include <cstdint>
#include <string_view>

namespace vgpu::ptx {

// What bits of a type mean. Packed types (f16x2) are their elements side by side.
enum class Kind : uint8_t { None, Bits, Unsigned, Signed, Float, BFloat, Predicate, Alternate, Opaque };

enum class Type : uint8_t {
  None,
#define PTX_TYPE(name, spelling, kind, sizeBytes, elements) name,
#include "cpu_driver/ptx/types.inc"
#undef PTX_TYPE
  Count
};

enum class Space : uint8_t { None, Reg, SpecialReg, Const, Global, Local, Param, Shared, Tex };

enum class Opcode : uint16_t {
  None,
#define PTX_OPCODE(id, spelling, handler, modifiers, types, signature) id,
#include "cpu_driver/ptx/opcodes.inc"
#undef PTX_OPCODE
  Count
};

enum class Modifier : uint16_t {
  None,
#define PTX_MODIFIER(id, spelling) id,
#include "cpu_driver/ptx/modifiers.inc"
#undef PTX_MODIFIER
  Count
};

Kind kindOf(Type type);
uint32_t sizeOf(Type type);      // bytes; 0 for predicates and opaque types
uint32_t elementsOf(Type type);  // 2 for f16x2
std::string_view spelling(Type type);
std::string_view spelling(Space space);
std::string_view spelling(Opcode opcode);
std::string_view spelling(Modifier modifier);

inline uint32_t bitsOf(Type type) { return sizeOf(type) * 8; }
inline bool isFloating(Type type) { return kindOf(type) == Kind::Float || kindOf(type) == Kind::BFloat; }
inline bool isSigned(Type type) { return kindOf(type) == Kind::Signed; }
inline bool isInteger(Type type) {
  return kindOf(type) == Kind::Bits || kindOf(type) == Kind::Unsigned || kindOf(type) == Kind::Signed;
}

// By the word after a '.', without the dot.
Type typeNamed(std::string_view word);
Space spaceNamed(std::string_view word);  // also shared::cta, param::entry, ...
Modifier modifierNamed(std::string_view word);
Opcode opcodeNamed(std::string_view word);

}  // namespace vgpu::ptx
