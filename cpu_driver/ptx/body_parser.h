// The body of one function. Runs where Module::body() runs, under that body's own lock; the text is
// untrusted: scopes and operand lists nest to a bound, registers of a range exist once they are named.
#pragma once

#include <unordered_map>
#include <vector>

#include "cpu_driver/ptx/cursor.h"
#include "cpu_driver/ptx/declaration.h"
#include "cpu_driver/ptx/opcode_table.h"
#include "cpu_driver/ptx/state.h"

namespace vgpu::ptx {

class BodyParser {
 public:
  BodyParser(const Module::State& module, const Function& function, Body& body);
  std::optional<Diagnostic> parse();

 private:
  // What a name means in a scope.
  struct Name {
    enum class Kind : uint8_t { Register, VectorRegister, Variable, Parameter, Result } kind;
    uint32_t index;
    uint32_t width = 1;
  };
  struct Range {
    Type type;
    uint32_t count;
    uint32_t width;
  };
  struct Scope {
    uint32_t id = 0;
    std::unordered_map<std::string_view, Name> names;
    std::unordered_map<std::string_view, Range> ranges;
  };
  struct PendingLabel {
    uint32_t operand;  // in Body::operands, or kNoIndex: an entry of a target list
    uint32_t list = 0, entry = 0;
    uint32_t scope;
    uint32_t line;
    std::string_view name;
    Operand::Kind wanted;
  };

  void statement();
  void directive();
  void declare(Space space);
  void declareRegister(const DeclaredVariable& declared);
  void locationDirective();
  void openScope();
  void closeScope();
  void labelled(std::string_view name, uint32_t line);
  void targetList(std::string_view name, bool functions);
  void prototype(std::string_view name);
  void declareFunctionNames();

  void guarded();
  void instruction(std::string_view name, uint32_t line, uint32_t offset);
  bool suffixes(Instruction& instruction);
  void refuse(const Instruction& instruction);
  void operands(Instruction& instruction);
  void callOperands(std::vector<Operand>& list);

  // operand_parser.cc
  Operand operand(const Instruction& instruction);
  Operand named(const Instruction& instruction);
  Operand registerElement(const Name& name);
  Operand specialRegister(std::string_view name);
  Operand address(const Instruction& instruction);
  Operand group(const Instruction& instruction, char16_t close, Operand::Kind kind);
  Operand constant();
  void addOffset(Operand& operand);
  Operand unknown(const Instruction& instruction, std::string_view name, uint32_t line);
  uint32_t append(const std::vector<Operand>& list);

  const Name* find(std::string_view name);
  const Name* findInRanges(Scope& scope, std::string_view name);
  uint32_t addRegister(std::string_view name, Type type, uint32_t width);
  void resolveLabels();

  const Module::State& module_;
  const Function& function_;
  Body& body_;
  Cursor cursor_;
  uint64_t initialBudget_ = 0;
  DeclarationParser declarations_;
  std::vector<Scope> scopes_;
  std::vector<uint32_t> scopeParents_;  // by scope id
  std::unordered_map<std::string_view, std::vector<std::pair<uint32_t, Operand>>>
      labels_;  // scope id, what it names
  std::vector<PendingLabel> pendingLabels_;
  int groupDepth_ = 0;
  // Of the instruction at hand.
  uint32_t guard_ = kNoIndex;
  bool guardNegated_ = false;
};

// Operand types and counts; a failure's reason, or empty. check.cc
std::string checkInstruction(const Instruction& instruction, const Body& body);

}  // namespace vgpu::ptx
