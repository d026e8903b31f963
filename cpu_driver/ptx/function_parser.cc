// Kernels and device functions at module scope: the second half of ModuleParser.
#include "cpu_driver/ptx/module_parser.h"

namespace vgpu::ptx {

uint32_t ModuleParser::smallInteger() {
  uint64_t value = cursor_.expectInteger();
  if (value > INT32_MAX) cursor_.fail("a number is out of range");
  return uint32_t(value);
}

// x {, y {, z}}: those left out are 1.
void ModuleParser::threeIntegers(uint32_t (&values)[3]) {
  values[0] = values[1] = values[2] = 1;
  for (uint32_t& value : values) {
    value = smallInteger();
    if (value == 0) cursor_.fail("a dimension is zero");
    if (!cursor_.accept(',')) return;
  }
}

bool ModuleParser::functionDirective(std::string_view word, Directives& directives) {
  if (word == "maxntid") {
    threeIntegers(directives.maxThreads);
  } else if (word == "reqntid") {
    threeIntegers(directives.requiredThreads);
  } else if (word == "minnctapersm") {
    directives.minBlocksPerMultiprocessor = smallInteger();
  } else if (word == "maxnctapersm") {
    smallInteger();
  } else if (word == "maxnreg") {
    directives.maxRegisters = smallInteger();
  } else if (word == "reqnctapercluster") {
    threeIntegers(directives.requiredCluster);
  } else if (word == "maxclusterrank") {
    directives.maxClusterRank = smallInteger();
  } else if (word == "explicitcluster") {
    directives.explicitCluster = true;
  } else if (word == "blocksareclusters" || word == "abi_preserve_control" || word == "unique") {
    return true;
  } else if (word == "noreturn") {
    directives.noReturn = true;
  } else if (word == "abi_preserve") {
    smallInteger();
  } else if (word == "pragma") {
    cursor_.skipStatement();
  } else if (word == "loc") {
    cursor_.skipLine();
  } else {
    return false;
  }
  return true;
}

void ModuleParser::functionDirectives(Function& function) {
  while (cursor_.atDotWord()) {
    std::string_view word = cursor_.take().text;
    if (cursor_.failed() || functionDirective(word, function.directives)) continue;
    cursor_.fail("unknown directive '." + std::string(word.substr(0, 80)) + "' of a function");
  }
}

void ModuleParser::function(bool kernel, Linkage linkage) {
  Function function;
  function.kernel = kernel;
  function.linkage = linkage;
  if (cursor_.acceptWord("attribute")) {
    cursor_.expect('(');
    while (!cursor_.atEnd() && !cursor_.at(';') && !cursor_.at(')')) cursor_.advance();
    while (cursor_.accept(')')) {
    }
  }
  if (!kernel && cursor_.at('(')) function.results = declarations_.parameters(false);
  function.line = cursor_.line();
  function.name = cursor_.expectName();
  if (cursor_.at('(')) function.parameters = declarations_.parameters(false);
  if (!function.parameters.empty()) {
    const Variable& last = function.parameters.back();
    function.parameterBytes = last.offset + last.sizeBytes;
  }
  functionDirectives(function);
  if (cursor_.at('{')) {
    body(function);
  } else {
    cursor_.expect(';');
  }
  if (!cursor_.failed()) addFunction(std::move(function));
}

void ModuleParser::body(Function& function) {
  function.defined = true;
  function.bodyLine = cursor_.line();
  function.bodyBegin = cursor_.offset() + 1;
  if (cursor_.skipBlock()) function.bodyEnd = cursor_.blockEnd();
}

void ModuleParser::addFunction(Function function) {
  if (state_.variableNames.contains(function.name)) {
    return cursor_.failAt(function.line,
                          "duplicate definition of '" + std::string(function.name.substr(0, 200)) + "'");
  }
  auto [at, fresh] = state_.functionNames.emplace(function.name, uint32_t(state_.functions.size()));
  if (fresh) {
    state_.functions.push_back(std::move(function));
    return;
  }
  Function& before = state_.functions[at->second];
  bool same = before.kernel == function.kernel && before.parameters.size() == function.parameters.size() &&
              before.results.size() == function.results.size();
  if ((before.defined && function.defined) || !same) {
    std::string what = same ? "duplicate definition of '" : "declarations differ of '";
    return cursor_.failAt(function.line, what + std::string(function.name.substr(0, 200)) + "'");
  }
  if (function.defined) before = std::move(function);
}

}  // namespace vgpu::ptx
