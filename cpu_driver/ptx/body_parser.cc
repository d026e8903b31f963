#include "cpu_driver/ptx/body_parser.h"

#include "cpu_driver/ptx/expression.h"

namespace vgpu::ptx {
namespace {

constexpr size_t kDeepestScope = 200;
constexpr uint64_t kMostRegisters = 1u << 22;  // of one function; names, not storage

std::string quote(std::string_view name) { return "'" + std::string(name.substr(0, 200)) + "'"; }

}  // namespace

BodyParser::BodyParser(const Module::State& module, const Function& function, Body& body)
    : module_(module),
      function_(function),
      body_(body),
      cursor_(std::string_view(module.text).substr(0, function.bodyEnd), function.bodyBegin,
              function.bodyLine),
      declarations_(cursor_, initialBudget_) {}

std::optional<Diagnostic> BodyParser::parse() {
  openScope();
  declareFunctionNames();
  while (!cursor_.atEnd()) statement();
  if (!cursor_.failed() && scopes_.size() != 1) cursor_.fail("a '{' is not closed");
  resolveLabels();
  return cursor_.diagnostic();
}

void BodyParser::declareFunctionNames() {
  Scope& scope = scopes_.back();
  auto add = [&](const std::vector<Variable>& list, Name::Kind kind, std::vector<uint32_t>& registers) {
    for (uint32_t i = 0; i < list.size(); ++i) {
      Name name{kind, i};
      registers.push_back(kNoIndex);
      if (list[i].space == Space::Reg) {
        name = {Name::Kind::Register, addRegister(list[i].name, list[i].type, 1)};
        registers.back() = name.index;
      }
      if (!scope.names.emplace(list[i].name, name).second) {
        cursor_.failAt(list[i].line, "duplicate definition of " + quote(list[i].name));
      }
    }
  };
  add(function_.parameters, Name::Kind::Parameter, body_.parameterRegisters);
  add(function_.results, Name::Kind::Result, body_.resultRegisters);
}

void BodyParser::openScope() {
  if (scopes_.size() >= kDeepestScope) return cursor_.fail("blocks are nested too deeply");
  uint32_t parent = scopes_.empty() ? kNoIndex : scopes_.back().id;
  Scope scope;
  scope.id = uint32_t(scopeParents_.size());
  scopeParents_.push_back(parent);
  scopes_.push_back(std::move(scope));
}

void BodyParser::closeScope() {
  if (scopes_.size() == 1) return cursor_.fail("a '}' closes nothing");
  scopes_.pop_back();
}

void BodyParser::statement() {
  if (cursor_.accept(';')) return;
  if (cursor_.accept('{')) return openScope();
  if (cursor_.accept('}')) return closeScope();
  if (cursor_.atDotWord()) return directive();
  if (cursor_.at('@')) return guarded();
  if (!cursor_.atName()) return cursor_.failUnexpected("an instruction");
  Token name = cursor_.take();
  if (cursor_.accept(':')) return labelled(name.text, name.line);
  guard_ = kNoIndex;
  guardNegated_ = false;
  instruction(name.text, name.line, name.offset);
}

void BodyParser::directive() {
  std::string_view word = cursor_.take().text;
  if (word == "loc") return locationDirective();
  if (word == "pragma") return cursor_.skipStatement();
  if (word == "file") return cursor_.skipLine();
  if (word == "maxnreg" || word == "maxntid" || word == "minnctapersm") return cursor_.skipStatement();
  if (word == "branchtargets" || word == "calltargets" || word == "callprototype") {
    return cursor_.fail("." + std::string(word) + " needs a label");
  }
  Space space = spaceNamed(word);
  if (space == Space::Reg || space == Space::Local || space == Space::Shared || space == Space::Param)
    return declare(space);
  cursor_.fail("unknown directive '." + std::string(word.substr(0, 80)) + "' in a function");
}

// .loc file line column [, function_name label [+ n], inlined_at file line column]
void BodyParser::locationDirective() {
  for (int i = 0; i < 3; ++i) cursor_.expectInteger();
  while (cursor_.accept(',')) {
    std::string_view word = cursor_.expectName();
    if (word == "function_name") {
      cursor_.advance();
      if (cursor_.accept('+')) cursor_.expectInteger();
    } else {
      while (cursor_.token().kind == Token::Kind::Integer) cursor_.advance();
    }
  }
}

uint32_t BodyParser::addRegister(std::string_view name, Type type, uint32_t width) {
  if (body_.registers.size() + width > kMostRegisters) {
    cursor_.fail("a function has too many registers");
    return 0;
  }
  uint32_t index = uint32_t(body_.registers.size());
  for (uint32_t i = 0; i < width; ++i) body_.registers.push_back({name, type, i});
  return index;
}

void BodyParser::declareRegister(const DeclaredVariable& declared) {
  Scope& scope = scopes_.back();
  const Variable& variable = declared.variable;
  if (variable.array) return cursor_.failAt(variable.line, "registers have no arrays");
  bool fresh;
  if (declared.rangeCount != 0) {
    fresh =
        scope.ranges.emplace(variable.name, Range{variable.type, declared.rangeCount, declared.vectorWidth})
            .second;
  } else {
    Name name{declared.vectorWidth > 1 ? Name::Kind::VectorRegister : Name::Kind::Register, 0,
              declared.vectorWidth};
    auto [at, inserted] = scope.names.emplace(variable.name, name);
    fresh = inserted;
    if (fresh) at->second.index = addRegister(variable.name, variable.type, declared.vectorWidth);
  }
  if (!fresh) cursor_.failAt(variable.line, "duplicate definition of " + quote(variable.name));
}

void BodyParser::declare(Space space) {
  for (DeclaredVariable& declared : declarations_.variables(space, Linkage::Internal)) {
    if (cursor_.failed()) return;
    if (space == Space::Reg) {
      declareRegister(declared);
      continue;
    }
    // name<n> of another space: n variables.
    uint32_t copies = declared.rangeCount;
    if (copies != 0) return cursor_.failAt(declared.variable.line, "ranges of variables are not supported");
    Name name{Name::Kind::Variable, uint32_t(body_.variables.size())};
    if (!scopes_.back().names.emplace(declared.variable.name, name).second) {
      return cursor_.failAt(declared.variable.line,
                            "duplicate definition of " + quote(declared.variable.name));
    }
    body_.variables.push_back(std::move(declared.variable));
  }
}

void BodyParser::labelled(std::string_view name, uint32_t line) {
  if (cursor_.acceptWord("branchtargets")) return targetList(name, false);
  if (cursor_.acceptWord("calltargets")) return targetList(name, true);
  if (cursor_.acceptWord("callprototype")) return prototype(name);
  Operand named;
  named.kind = Operand::Kind::Label;
  named.index = uint32_t(body_.labels.size());
  body_.labels.push_back({name, uint32_t(body_.instructions.size())});
  for (const auto& [scope, other] : labels_[name]) {
    if (scope == scopes_.back().id) cursor_.failAt(line, "duplicate definition of label " + quote(name));
  }
  labels_[name].push_back({scopes_.back().id, named});
}

void BodyParser::targetList(std::string_view name, bool functions) {
  TargetList list;
  list.name = name;
  list.functions = functions;
  Operand named;
  named.kind = Operand::Kind::Targets;
  named.index = uint32_t(body_.targetLists.size());
  do {
    uint32_t line = cursor_.line();
    std::string_view target = cursor_.expectName();
    if (functions) {
      auto found = module_.functionNames.find(target);
      if (found == module_.functionNames.end())
        return cursor_.failAt(line, "unknown symbol " + quote(target));
      list.targets.push_back(found->second);
    } else {
      pendingLabels_.push_back({kNoIndex, named.index, uint32_t(list.targets.size()), scopes_.back().id, line,
                                target, Operand::Kind::Label});
      list.targets.push_back(0);
    }
  } while (cursor_.accept(',') && !cursor_.atEnd());
  cursor_.expect(';');
  body_.targetLists.push_back(std::move(list));
  labels_[name].push_back({scopes_.back().id, named});
}

// label: .callprototype (results) _ (parameters) directives ;
void BodyParser::prototype(std::string_view name) {
  Prototype prototype;
  prototype.name = name;
  if (cursor_.at('(')) prototype.results = declarations_.parameters(true);
  if (cursor_.atName()) cursor_.advance();
  if (cursor_.at('(')) prototype.parameters = declarations_.parameters(true);
  while (cursor_.atDotWord()) {
    if (cursor_.take().text == "noreturn") prototype.noReturn = true;
    if (cursor_.token().kind == Token::Kind::Integer) cursor_.advance();
  }
  cursor_.expect(';');
  Operand named;
  named.kind = Operand::Kind::Prototype;
  named.index = uint32_t(body_.prototypes.size());
  body_.prototypes.push_back(std::move(prototype));
  labels_[name].push_back({scopes_.back().id, named});
}

void BodyParser::resolveLabels() {
  for (const PendingLabel& pending : pendingLabels_) {
    if (cursor_.failed()) return;
    const Operand* found = nullptr;
    auto named = labels_.find(pending.name);
    for (uint32_t scope = pending.scope; named != labels_.end() && scope != kNoIndex && !found;
         scope = scopeParents_[scope]) {
      for (const auto& [id, operand] : named->second) {
        if (id == scope) found = &operand;
      }
    }
    if (found == nullptr || (pending.wanted == Operand::Kind::Label && found->kind != Operand::Kind::Label)) {
      return cursor_.failAt(pending.line, "unknown label " + quote(pending.name));
    }
    if (pending.operand != kNoIndex) {
      body_.operands[pending.operand].kind = found->kind;
      body_.operands[pending.operand].index = found->index;
    } else {
      body_.targetLists[pending.list].targets[pending.entry] = found->index;
    }
  }
}

}  // namespace vgpu::ptx
