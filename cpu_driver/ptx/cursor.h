// Reading tokens one by one with one failure that stays: after it every token is End, so that parsers need no
// checks of their own to stop. Runs where load() runs; the text is untrusted and outlives the cursor.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cpu_driver/ptx/lexer.h"
#include "cpu_driver/ptx/module.h"

namespace vgpu::ptx {

class Cursor {
 public:
  Cursor(std::string_view text, uint32_t offset, uint32_t line) : lexer_(text, offset, line) { advance(); }

  const Token& token() const { return token_; }
  uint32_t line() const { return token_.line; }
  void advance();
  Token take() {
    Token taken = token_;
    advance();
    return taken;
  }

  bool at(char16_t punctuator) const { return token_.is(punctuator); }
  bool atEnd() const { return token_.kind == Token::Kind::End; }
  bool atName() const { return token_.kind == Token::Kind::Identifier; }
  bool atDotWord() const { return token_.kind == Token::Kind::DotWord; }
  bool atDotWord(std::string_view word) const { return atDotWord() && token_.text == word; }
  bool accept(char16_t punctuator);
  bool acceptWord(std::string_view word);  // .word
  bool acceptName(std::string_view name);
  bool expect(char16_t punctuator);
  std::string_view expectName();
  uint64_t expectInteger();

  // The block whose '{' is the current token; then blockEnd() is the offset of its '}'.
  bool skipBlock();
  uint32_t blockEnd() const { return blockEnd_; }
  // Up to and with the next ';'.
  void skipStatement();
  void skipLine();
  uint32_t offset() const { return token_.offset; }

  bool failed() const { return diagnostic_.has_value(); }
  void fail(std::string reason) { failAt(token_.line, std::move(reason)); }
  void failAt(uint32_t line, std::string reason);
  void failUnexpected(std::string_view wanted);
  const std::optional<Diagnostic>& diagnostic() const { return diagnostic_; }

 private:
  Lexer lexer_;
  Token token_;
  uint32_t blockEnd_ = 0;
  std::optional<Diagnostic> diagnostic_;
};

}  // namespace vgpu::ptx
