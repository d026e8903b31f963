#include "cpu_driver/ptx/link.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <vector>

#include "cpu_driver/ptx/cursor.h"

namespace vgpu::ptx {
namespace {

// A name of module scope, and the statement that declares it.
struct Symbol {
  std::string_view name;
  Linkage linkage = Linkage::Internal;
  bool kernel = false, function = false, shared = false;
  bool defined = false;
  bool alone = true;  // nothing else is declared by the statement
  uint32_t begin = 0, end = 0;
};

struct Edit {
  uint32_t begin = 0, end = 0;
  std::string replacement;
};

// What stands at module scope of one text.
class Outline {
 public:
  explicit Outline(std::string_view text) : text_(text), cursor_(text, 0, 1) {
    while (!cursor_.atEnd()) statement();
  }

  std::string_view text() const { return text_; }
  const std::optional<Diagnostic>& diagnostic() const { return cursor_.diagnostic(); }
  const std::vector<Symbol>& symbols() const { return symbols_; }
  const std::vector<Edit>& headers() const { return headers_; }
  std::string_view version() const { return version_; }
  std::string_view target() const { return target_; }
  bool debug() const { return debug_; }

 private:
  void statement() {
    if (cursor_.accept(';')) return;
    if (cursor_.at('@')) return cursor_.skipLine();
    if (!cursor_.atDotWord()) return cursor_.failUnexpected("a directive");
    const uint32_t begin = start();
    const std::string_view word = cursor_.take().text;
    if (word == "version" || word == "target" || word == "address_size") return header(word, begin);
    if (word == "file" || word == "loc") return cursor_.skipLine();
    if (word == "section") return section();
    if (word == "pragma" || word == "alias") return cursor_.skipStatement();
    Symbol symbol;
    symbol.begin = begin;
    declaration(symbol, withoutLinkage(word, symbol.linkage));
  }

  // Where the current token begins; a word's offset is behind its dot.
  uint32_t start() const {
    if (cursor_.atEnd()) return static_cast<uint32_t>(text_.size());
    return cursor_.offset() - (cursor_.atDotWord() ? 1 : 0);
  }

  std::string_view withoutLinkage(std::string_view word, Linkage& linkage) {
    static constexpr std::pair<std::string_view, Linkage> kLinkages[] = {{"extern", Linkage::Extern},
                                                                         {"visible", Linkage::Visible},
                                                                         {"weak", Linkage::Weak},
                                                                         {"common", Linkage::Common}};
    for (const auto& [name, value] : kLinkages) {
      if (word != name) continue;
      linkage = value;
      return cursor_.take().text;
    }
    return word;
  }

  void header(std::string_view word, uint32_t begin) {
    if (word == "target") {
      target_ = cursor_.expectName();
      while (cursor_.accept(',')) debug_ |= cursor_.expectName() == "debug";
    } else {
      const std::string_view value = cursor_.take().text;
      if (word == "version") version_ = value;
    }
    headers_.push_back({begin, start(), "\n"});
  }

  void section() {
    while (!cursor_.atEnd() && !cursor_.at('{')) cursor_.advance();
    cursor_.skipBlock();
  }

  void parentheses() {
    cursor_.expect('(');
    for (int depth = 1; depth > 0 && !cursor_.atEnd(); cursor_.advance())
      depth += cursor_.at('(') ? 1 : cursor_.at(')') ? -1 : 0;
  }

  void declaration(Symbol& symbol, std::string_view word) {
    symbol.kernel = word == "entry";
    symbol.function = symbol.kernel || word == "func";
    symbol.shared = word == "shared";
    if (symbol.function) return function(symbol);
    if (spaceNamed(word) == Space::None)
      return cursor_.fail("unknown directive '." + std::string(word.substr(0, 80)) + "'");
    variables(symbol);
  }

  void function(Symbol& symbol) {
    if (cursor_.acceptWord("attribute")) parentheses();
    if (!symbol.kernel && cursor_.at('(')) parentheses();
    symbol.name = cursor_.expectName();
    while (!cursor_.atEnd() && !cursor_.at('{') && !cursor_.at(';')) {
      if (cursor_.atDotWord("pragma")) {
        cursor_.skipStatement();
      } else {
        cursor_.advance();
      }
    }
    symbol.defined = cursor_.at('{');
    symbol.end = cursor_.offset() + 1;
    if (symbol.defined && cursor_.skipBlock()) symbol.end = cursor_.blockEnd() + 1;
    symbols_.push_back(symbol);
  }

  // attributes name [dimensions] [= value] {, name ...} ;
  void variables(Symbol& symbol) {
    symbol.defined = symbol.linkage != Linkage::Extern;
    const size_t first = symbols_.size();
    int depth = 0;
    for (bool wanted = true; !cursor_.atEnd() && !(depth == 0 && cursor_.at(';')); cursor_.advance()) {
      if (cursor_.at('{') || cursor_.at('[') || cursor_.at('(')) ++depth;
      if (cursor_.at('}') || cursor_.at(']') || cursor_.at(')')) --depth;
      if (depth == 0 && cursor_.at(',')) wanted = true;
      if (depth != 0 || !wanted || !cursor_.atName()) continue;
      symbol.name = cursor_.token().text;
      symbols_.push_back(symbol);
      wanted = false;
    }
    const uint32_t end = cursor_.offset() + 1;
    cursor_.expect(';');
    for (size_t i = first; i < symbols_.size(); ++i) {
      symbols_[i].end = end;
      symbols_[i].alone = symbols_.size() == first + 1;
    }
  }

  std::string_view text_;
  Cursor cursor_;
  std::vector<Symbol> symbols_;
  std::vector<Edit> headers_;
  std::string_view version_, target_;
  bool debug_ = false;
};

unsigned architectureOf(std::string_view target) {
  const size_t digits = target.find_first_of("0123456789");
  unsigned number = 0;
  if (digits != std::string_view::npos)
    std::from_chars(target.data() + digits, target.data() + target.size(), number);
  return number;
}

std::pair<unsigned, unsigned> versionOf(std::string_view version) {
  unsigned major = 0, minor = 0;
  const auto point = std::from_chars(version.data(), version.data() + version.size(), major).ptr;
  if (point != version.data() + version.size())
    std::from_chars(point + 1, version.data() + version.size(), minor);
  return {major, minor};
}

class Linker {
 public:
  explicit Linker(std::vector<Outline> modules) : modules_(std::move(modules)) {
    for (size_t i = 0; i < modules_.size(); ++i) {
      for (const Symbol& symbol : modules_[i].symbols()) {
        places_[symbol.name].insert(i);
        if (symbol.defined) defined_.insert(symbol.name);
        if (symbol.defined && symbol.linkage == Linkage::Visible) strong_.insert(symbol.name);
      }
    }
  }

  std::optional<Diagnostic> undefined() const {
    for (const Outline& module : modules_) {
      for (const Symbol& symbol : module.symbols()) {
        if (symbol.function || symbol.shared || defined_.contains(symbol.name)) continue;
        return Diagnostic{0, "undefined reference to '" + std::string(symbol.name.substr(0, 200)) + "'"};
      }
    }
    return std::nullopt;
  }

  std::string text() {
    std::string out = header();
    for (size_t i = 0; i < modules_.size(); ++i) append(i, out);
    return out;
  }

 private:
  // The newest of each.
  std::string header() const {
    const auto newer = [](const Outline& a, const Outline& b) {
      return versionOf(a.version()) < versionOf(b.version());
    };
    const auto later = [](const Outline& a, const Outline& b) {
      return architectureOf(a.target()) < architectureOf(b.target());
    };
    std::string out = ".version ";
    out += std::max_element(modules_.begin(), modules_.end(), newer)->version();
    out += "\n.target ";
    out += std::max_element(modules_.begin(), modules_.end(), later)->target();
    if (std::any_of(modules_.begin(), modules_.end(), [](const Outline& m) { return m.debug(); }))
      out += ", debug";
    return out + "\n.address_size 64\n";
  }

  bool givesWay(const Symbol& symbol) {
    if (!symbol.defined || symbol.linkage != Linkage::Weak || !symbol.alone) return false;
    return strong_.contains(symbol.name) || !weakKept_.insert(symbol.name).second;
  }

  std::map<std::string_view, std::string> renamed(size_t index) {
    std::map<std::string_view, std::string> names;
    for (const Symbol& symbol : modules_[index].symbols()) {
      if (symbol.linkage != Linkage::Internal || symbol.kernel || places_.at(symbol.name).size() < 2)
        continue;
      std::string name = std::string(symbol.name) + "$" + std::to_string(index);
      while (places_.contains(name)) name += '$';
      names[symbol.name] = std::move(name);
    }
    return names;
  }

  void append(size_t index, std::string& out) {
    const Outline& module = modules_[index];
    std::vector<Edit> edits = module.headers();
    for (const Symbol& symbol : module.symbols())
      if (givesWay(symbol)) edits.push_back({symbol.begin, symbol.end, {}});
    if (const auto names = renamed(index); !names.empty()) {
      Lexer lexer(module.text(), 0, 1);
      for (Token token = lexer.next(); token.kind != Token::Kind::End && token.kind != Token::Kind::Error;
           token = lexer.next()) {
        const auto found = token.kind == Token::Kind::Identifier ? names.find(token.text) : names.end();
        if (found != names.end())
          edits.push_back({token.offset, token.offset + uint32_t(token.text.size()), found->second});
      }
    }
    std::sort(edits.begin(), edits.end(), [](const Edit& a, const Edit& b) { return a.begin < b.begin; });
    uint32_t position = 0;
    for (const Edit& edit : edits) {
      if (edit.begin < position) continue;  // inside of what was left out
      out += module.text().substr(position, edit.begin - position);
      out += edit.replacement;
      position = edit.end;
    }
    out += module.text().substr(position);
    out += '\n';
  }

  std::vector<Outline> modules_;
  std::map<std::string_view, std::set<size_t>> places_;  // the modules in which a name stands at module scope
  std::set<std::string_view> defined_, strong_, weakKept_;
};

}  // namespace

std::variant<std::string, Diagnostic> link(std::span<const std::string> texts) {
  std::vector<Outline> modules;
  for (const std::string& text : texts) {
    modules.emplace_back(std::string_view(text).substr(0, text.find('\0')));
    if (modules.back().diagnostic()) return *modules.back().diagnostic();
  }
  if (modules.empty()) return Diagnostic{0, "nothing to link"};
  Linker linker(std::move(modules));
  if (auto undefined = linker.undefined()) return *undefined;
  return linker.text();
}

}  // namespace vgpu::ptx
