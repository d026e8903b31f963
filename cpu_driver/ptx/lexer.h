// The words of PTX text. Runs where load() runs; owns nothing: tokens point into the text, which must outlive
// them. The text is untrusted; an unreadable word becomes an Error token, the end of text End, for ever.
#pragma once

#include <cstdint>
#include <string_view>

namespace vgpu::ptx {

struct Token {
  enum class Kind : uint8_t {
    End,
    Error,       // `text` says why
    Identifier,  // names, %registers, opcodes, '_'
    DotWord,     // .word or .word::word, `text` without the dot
    Integer,     // `bits`
    Float,       // `bits`: of a double; `single` for 0f, whose 32 bits stand in the low half of `bits`
    String,      // without its quotes
    Punctuator,  // `punctuator`: one of { } ( ) [ ] , ; : | ! + - * / % < > & ^ ~ ? = @, or a Double
  };
  // Punctuators of two characters.
  enum Double : char16_t {
    ShiftLeft = 0x100,
    ShiftRight,
    Equal,
    NotEqual,
    LessEqual,
    GreaterEqual,
    AndAnd,
    OrOr
  };

  Kind kind = Kind::End;
  bool single = false;
  bool isUnsigned = false;  // an Integer with suffix U, or too large for a signed 64-bit value
  char16_t punctuator = 0;
  uint32_t line = 0;
  uint32_t offset = 0;
  std::string_view text;
  uint64_t bits = 0;

  bool is(char16_t wanted) const { return kind == Kind::Punctuator && punctuator == wanted; }
};

class Lexer {
 public:
  Lexer(std::string_view text, uint32_t offset, uint32_t line)
      : text_(text), position_(offset), line_(line) {}

  Token next();
  // Passes everything up to and with the '}' that closes a '{' already read; false if there is none.
  // Comments and strings are respected, nothing else is looked at: about a gigabyte a second.
  bool skipBlock();
  void skipLine();  // to the end of the line
  uint32_t offset() const { return uint32_t(position_); }
  uint32_t line() const { return line_; }

 private:
  char at(size_t index) const { return index < text_.size() ? text_[index] : '\0'; }
  bool skipSpace();
  bool skipComment();
  Token make(Token::Kind kind, size_t begin) const;
  Token error(std::string_view why);
  Token identifier();
  Token dotWord();
  Token number();
  Token integer(unsigned base, size_t digits);
  Token rawFloat(bool single);
  Token decimalFloat();
  Token string();
  Token punctuator();

  std::string_view text_;
  size_t position_;
  uint32_t line_;
};

}  // namespace vgpu::ptx
