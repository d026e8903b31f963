// Variable and parameter declarations, with their initial values. Runs where load() runs; the text is
// untrusted: sizes are 64-bit and checked, initial values are bounded by the length of the text.
#pragma once

#include <vector>

#include "cpu_driver/ptx/cursor.h"

namespace vgpu::ptx {

// An initial value that names a symbol, resolved when the whole module has been read.
struct PendingSymbol {
  uint32_t relocation = 0;  // in its variable's list
  std::string_view name;
  uint32_t line = 0;
};

struct DeclaredVariable {
  Variable variable;
  std::vector<PendingSymbol> symbols;
  uint32_t rangeCount = 0;   // name<n>: n; 0 for a plain name
  uint32_t vectorWidth = 1;  // .v2, .v4
};

class DeclarationParser {
 public:
  // Initial values use up `initialBudget` bytes, shared by all declarations of a module.
  DeclarationParser(Cursor& cursor, uint64_t& initialBudget)
      : cursor_(cursor), initialBudget_(initialBudget) {}

  // What follows the state space's word up to and with the ';': any number of variables.
  std::vector<DeclaredVariable> variables(Space space, Linkage linkage);
  // '(' parameters ')', with offsets; `anonymous`: of a prototype, where names are '_'.
  std::vector<Variable> parameters(bool anonymous);

 private:
  struct Attributes {
    Type type = Type::None;
    uint32_t alignment = 0;
    uint32_t vectorWidth = 1;
    bool managed = false;
  };
  Attributes attributes();
  void attributeList(Attributes& attributes);
  bool pointerAttributes();
  uint32_t alignment();
  DeclaredVariable declarator(const Attributes& attributes, Space space);
  void dimensions(DeclaredVariable& declared);
  void finish(DeclaredVariable& declared, const Attributes& attributes);
  void initializer(DeclaredVariable& declared);
  void samplerFields();
  void element(DeclaredVariable& declared, uint64_t offset);
  void symbolElement(DeclaredVariable& declared, uint64_t offset, uint64_t mask);
  bool generic();
  uint64_t list(DeclaredVariable& declared, size_t level, uint64_t offset);
  std::byte* initialBytes(Variable& variable, uint64_t offset, uint64_t sizeBytes);

  Cursor& cursor_;
  uint64_t& initialBudget_;
  std::vector<uint64_t> dimensions_;  // of the declarator at hand; 0: []
};

}  // namespace vgpu::ptx
