// Everything of a module but the bodies, whose byte ranges it notes. Runs where load() runs; the text is
// untrusted.
#pragma once

#include "cpu_driver/ptx/cursor.h"
#include "cpu_driver/ptx/declaration.h"
#include "cpu_driver/ptx/state.h"

namespace vgpu::ptx {

class ModuleParser {
 public:
  explicit ModuleParser(Module::State& state);
  // The failure, if any.
  std::optional<Diagnostic> parse();

 private:
  void statement();
  void word(std::string_view word);
  void version();
  void target();
  void addressSize();
  void header();
  void linkageStatement(Linkage linkage);
  void variables(Space space, Linkage linkage);
  void addVariable(DeclaredVariable declared);
  void function(bool kernel, Linkage linkage);
  void functionDirectives(Function& function);
  bool functionDirective(std::string_view word, Directives& directives);
  void threeIntegers(uint32_t (&values)[3]);
  uint32_t smallInteger();
  void addFunction(Function function);
  void body(Function& function);
  void alias();
  void section();
  void resolveSymbols();
  void checkName(std::string_view name, uint32_t line);

  Module::State& state_;
  Cursor cursor_;
  uint64_t initialBudget_;
  DeclarationParser declarations_;
  struct Pending {
    uint32_t variable;
    PendingSymbol symbol;
  };
  std::vector<Pending> pending_;
  bool versionSeen_ = false, targetSeen_ = false;
};

}  // namespace vgpu::ptx
