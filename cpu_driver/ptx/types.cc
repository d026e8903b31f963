#include "cpu_driver/ptx/types.h"

#include <array>
#include <unordered_map>

namespace vgpu::ptx {
namespace {

struct TypeRow {
  std::string_view spelling;
  Kind kind;
  uint32_t sizeBytes;
  uint32_t elements;
};

constexpr std::array<TypeRow, size_t(Type::Count)> kTypes = {{
    {"", Kind::None, 0, 1},
#define PTX_TYPE(id, spelling, kind, sizeBytes, elements) {spelling, Kind::kind, sizeBytes, elements},
#include "cpu_driver/ptx/types.inc"
#undef PTX_TYPE
}};

constexpr std::string_view kOpcodes[] = {
    "",
#define PTX_OPCODE(id, spelling, handler, modifiers, types, signature) spelling,
#include "cpu_driver/ptx/opcodes.inc"
#undef PTX_OPCODE
};

constexpr std::string_view kModifiers[] = {
    "",
#define PTX_MODIFIER(id, spelling) spelling,
#include "cpu_driver/ptx/modifiers.inc"
#undef PTX_MODIFIER
};

constexpr std::string_view kSpaces[] = {"",      "reg",   "sreg",   "const", "global",
                                        "local", "param", "shared", "tex"};

template <class Id>
using Names = std::unordered_map<std::string_view, Id>;

template <class Id, class Table>
Names<Id> namesOf(const Table& table) {
  Names<Id> names;
  for (size_t i = 1; i < std::size(table); ++i) names.emplace(table[i], Id(i));
  return names;
}

template <class Id>
Id find(const Names<Id>& names, std::string_view word) {
  auto found = names.find(word);
  return found == names.end() ? Id::None : found->second;
}

}  // namespace

Kind kindOf(Type type) { return kTypes[size_t(type)].kind; }
uint32_t sizeOf(Type type) { return kTypes[size_t(type)].sizeBytes; }
uint32_t elementsOf(Type type) { return kTypes[size_t(type)].elements; }
std::string_view spelling(Type type) { return kTypes[size_t(type)].spelling; }
std::string_view spelling(Space space) { return kSpaces[size_t(space)]; }
std::string_view spelling(Opcode opcode) { return kOpcodes[size_t(opcode)]; }
std::string_view spelling(Modifier modifier) { return kModifiers[size_t(modifier)]; }

Type typeNamed(std::string_view word) {
  static const Names<Type> names = [] {
    Names<Type> made;
    for (size_t i = 1; i < kTypes.size(); ++i) made.emplace(kTypes[i].spelling, Type(i));
    return made;
  }();
  return find(names, word);
}

Space spaceNamed(std::string_view word) {
  static const Names<Space> names = [] {
    Names<Space> made = namesOf<Space>(kSpaces);
    made.emplace("shared::cta", Space::Shared);
    made.emplace("shared::cluster", Space::Shared);
    made.emplace("param::entry", Space::Param);
    made.emplace("param::func", Space::Param);
    return made;
  }();
  return find(names, word);
}

Modifier modifierNamed(std::string_view word) {
  static const Names<Modifier> names = namesOf<Modifier>(kModifiers);
  return find(names, word);
}

Opcode opcodeNamed(std::string_view word) {
  static const Names<Opcode> names = namesOf<Opcode>(kOpcodes);
  return find(names, word);
}

}  // namespace vgpu::ptx
