#include "cpu_driver/ptx/module_parser.h"

#include <charconv>

namespace vgpu::ptx {
namespace {

constexpr uint64_t kInitialSlackBytes = 1 << 20;
constexpr uint64_t kInitialBytesPerCharacter =
    32;  // the shortest value takes two characters for up to eight bytes

std::string quote(std::string_view name) { return "'" + std::string(name.substr(0, 200)) + "'"; }

}  // namespace

ModuleParser::ModuleParser(Module::State& state)
    : state_(state),
      cursor_(state.text, 0, 1),
      initialBudget_(state.text.size() * kInitialBytesPerCharacter + kInitialSlackBytes),
      declarations_(cursor_, initialBudget_) {}

std::optional<Diagnostic> ModuleParser::parse() {
  while (!cursor_.atEnd()) statement();
  if (!cursor_.failed() && !versionSeen_) cursor_.fail("the module has no .version");
  if (!cursor_.failed() && !targetSeen_) cursor_.fail("the module has no .target");
  resolveSymbols();
  return cursor_.diagnostic();
}

void ModuleParser::statement() {
  if (cursor_.accept(';')) return;
  if (cursor_.at('@')) return cursor_.skipLine();  // @@DWARF lines of old compilers
  if (!cursor_.atDotWord()) return cursor_.failUnexpected("a directive");
  word(cursor_.take().text);
}

void ModuleParser::word(std::string_view word) {
  if (!versionSeen_ && word != "version") return cursor_.fail("a module must begin with .version");
  if (word == "version") return version();
  if (word == "target") return target();
  if (word == "address_size") return addressSize();
  if (word == "file" || word == "loc") return cursor_.skipLine();
  if (word == "section") return section();
  if (word == "pragma") return cursor_.skipStatement();
  if (word == "alias") return alias();
  if (word == "extern") return linkageStatement(Linkage::Extern);
  if (word == "visible") return linkageStatement(Linkage::Visible);
  if (word == "weak") return linkageStatement(Linkage::Weak);
  if (word == "common") return linkageStatement(Linkage::Common);
  if (word == "entry" || word == "func") return function(word == "entry", Linkage::Internal);
  if (Space space = spaceNamed(word); space != Space::None) return variables(space, Linkage::Internal);
  cursor_.fail("unknown directive '." + std::string(word.substr(0, 80)) + "'");
}

void ModuleParser::version() {
  std::string_view text = cursor_.token().text;
  if (versionSeen_) return cursor_.fail("a second .version");
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), state_.versionMajor);
  const char* last = text.data() + text.size();
  bool ok = code == std::errc() && end != last && *end == '.';
  if (ok) ok = std::from_chars(end + 1, last, state_.versionMinor).ptr == last;
  if (!ok) return cursor_.failUnexpected("a version such as 8.0");
  // The newest that this parser was written for; a later one may mean something else.
  if (state_.versionMajor < 1 || state_.versionMajor > 9) {
    return cursor_.fail("unsupported .version " + std::string(text.substr(0, 20)) + "; up to 9.x is known");
  }
  versionSeen_ = true;
  cursor_.advance();
}

void ModuleParser::target() {
  if (targetSeen_) return cursor_.fail("a second .target");
  do {
    std::string_view name = cursor_.expectName();
    if (name.starts_with("sm_") || name.starts_with("compute_")) {
      std::string_view digits = name.substr(name.find('_') + 1);
      state_.target = name;
      std::from_chars(digits.data(), digits.data() + digits.size(), state_.targetNumber);
      if (state_.targetNumber == 0) cursor_.fail("unknown target " + quote(name));
      targetSeen_ = true;
    } else if (name == "debug") {
      state_.debug = true;
    } else if (name != "texmode_unified" && name != "texmode_independent" && name != "map_f64_to_f32") {
      cursor_.fail("unknown target " + quote(name));
    }
  } while (cursor_.accept(',') && !cursor_.atEnd());
  if (!cursor_.failed() && !targetSeen_) cursor_.fail("the .target names no architecture");
}

void ModuleParser::addressSize() {
  uint64_t bits = cursor_.expectInteger();
  if (bits != 64 && !cursor_.failed()) cursor_.fail("only modules with 64-bit addresses are supported");
}

void ModuleParser::linkageStatement(Linkage linkage) {
  if (!cursor_.atDotWord()) return cursor_.failUnexpected("a declaration");
  std::string_view next = cursor_.take().text;
  if (next == "entry" || next == "func") return function(next == "entry", linkage);
  Space space = spaceNamed(next);
  if (space == Space::None)
    return cursor_.fail("unknown word '." + std::string(next.substr(0, 80)) + "' after a linkage");
  variables(space, linkage);
}

void ModuleParser::variables(Space space, Linkage linkage) {
  if (space == Space::Reg || space == Space::Local || space == Space::Param || space == Space::SpecialReg) {
    return cursor_.fail("a variable of this state space cannot stand outside of functions");
  }
  for (DeclaredVariable& declared : declarations_.variables(space, linkage)) {
    if (cursor_.failed()) return;
    if (declared.rangeCount != 0) return cursor_.fail("a range of names cannot stand outside of functions");
    addVariable(std::move(declared));
  }
}

void ModuleParser::checkName(std::string_view name, uint32_t line) {
  if (state_.functionNames.contains(name)) {
    cursor_.failAt(line, "duplicate definition of " + quote(name));
  }
}

void ModuleParser::addVariable(DeclaredVariable declared) {
  Variable& variable = declared.variable;
  checkName(variable.name, variable.line);
  auto [at, fresh] = state_.variableNames.emplace(variable.name, uint32_t(state_.variables.size()));
  uint32_t index = at->second;
  if (fresh) {
    state_.variables.emplace_back();
  } else {
    Variable& before = state_.variables[index];
    if (before.space != variable.space ||
        (before.linkage != Linkage::Extern && variable.linkage != Linkage::Extern)) {
      return cursor_.failAt(variable.line, "duplicate definition of " + quote(variable.name));
    }
    if (variable.linkage == Linkage::Extern) return;
  }
  for (const PendingSymbol& symbol : declared.symbols) pending_.push_back({index, symbol});
  state_.variables[index] = std::move(variable);
}

void ModuleParser::resolveSymbols() {
  for (const Pending& pending : pending_) {
    if (cursor_.failed()) return;
    Relocation& relocation = state_.variables[pending.variable].relocations[pending.symbol.relocation];
    auto variable = state_.variableNames.find(pending.symbol.name);
    auto function = state_.functionNames.find(pending.symbol.name);
    if (variable != state_.variableNames.end()) {
      relocation.target = variable->second;
    } else if (function != state_.functionNames.end()) {
      relocation.function = true;
      relocation.target = function->second;
    } else {
      cursor_.failAt(pending.symbol.line, "unknown symbol " + quote(pending.symbol.name));
    }
  }
}

// .section name { ... }: debugging data, of no use here.
void ModuleParser::section() {
  while (cursor_.atDotWord() || cursor_.atName() || cursor_.at(',')) cursor_.advance();
  cursor_.skipBlock();
}

void ModuleParser::alias() {
  uint32_t line = cursor_.line();
  std::string_view name = cursor_.expectName();
  cursor_.expect(',');
  std::string_view of = cursor_.expectName();
  cursor_.expect(';');
  auto found = state_.functionNames.find(of);
  if (cursor_.failed()) return;
  if (found == state_.functionNames.end()) return cursor_.failAt(line, "unknown symbol " + quote(of));
  uint32_t target = found->second;
  state_.functionNames[name] = target;
}

}  // namespace vgpu::ptx
