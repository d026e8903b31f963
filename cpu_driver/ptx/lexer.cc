#include "cpu_driver/ptx/lexer.h"

#include <array>
#include <bit>
#include <charconv>

namespace vgpu::ptx {
namespace {

enum Class : uint8_t { kSpace = 1, kNameStart = 2, kDigit = 4, kHex = 8, kBlock = 16 };

constexpr std::array<uint8_t, 256> makeClasses() {
  std::array<uint8_t, 256> classes{};
  for (char c : {' ', '\t', '\r', '\n', '\v', '\f'}) classes[static_cast<unsigned char>(c)] |= kSpace;
  for (unsigned c = 'a'; c <= 'z'; ++c) classes[c] |= kNameStart;
  for (unsigned c = 'A'; c <= 'Z'; ++c) classes[c] |= kNameStart;
  for (char c : {'_', '$'}) classes[static_cast<unsigned char>(c)] |= kNameStart;
  for (unsigned c = '0'; c <= '9'; ++c) classes[c] |= kDigit | kHex;
  for (unsigned c = 'a'; c <= 'f'; ++c) classes[c] |= kHex;
  for (unsigned c = 'A'; c <= 'F'; ++c) classes[c] |= kHex;
  for (char c : {'{', '}', '"', '/', '\n'}) classes[static_cast<unsigned char>(c)] |= kBlock;
  return classes;
}
constexpr std::array<uint8_t, 256> kClasses = makeClasses();

bool has(char c, uint8_t wanted) { return kClasses[static_cast<unsigned char>(c)] & wanted; }
bool isNameCharacter(char c) { return has(c, kNameStart | kDigit); }

unsigned digitOf(char c) {
  if (c >= '0' && c <= '9') return unsigned(c - '0');
  if (c >= 'a' && c <= 'f') return unsigned(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return unsigned(c - 'A') + 10;
  return 99;
}

}  // namespace

Token Lexer::make(Token::Kind kind, size_t begin) const {
  Token token;
  token.kind = kind;
  token.line = line_;
  token.offset = uint32_t(begin);
  token.text = text_.substr(begin, position_ - begin);
  return token;
}

Token Lexer::error(std::string_view why) {
  Token token;
  token.kind = Token::Kind::Error;
  token.line = line_;
  token.text = why;
  position_ = text_.size();
  token.offset = uint32_t(position_);
  return token;
}

// At a '/': passes a comment; false if it is none or does not end.
bool Lexer::skipComment() {
  if (at(position_ + 1) == '/') {
    skipLine();
    return true;
  }
  if (at(position_ + 1) != '*') return false;
  for (size_t i = position_ + 2; i + 1 < text_.size(); ++i) {
    if (text_[i] == '\n') ++line_;
    if (text_[i] == '*' && text_[i + 1] == '/') {
      position_ = i + 2;
      return true;
    }
  }
  return false;
}

void Lexer::skipLine() {
  size_t end = text_.find('\n', position_);
  position_ = end == std::string_view::npos ? text_.size() : end;
}

bool Lexer::skipSpace() {
  while (position_ < text_.size()) {
    char c = text_[position_];
    if (has(c, kSpace)) {
      line_ += c == '\n';
      ++position_;
    } else if (c == '/' && (at(position_ + 1) == '/' || at(position_ + 1) == '*')) {
      if (!skipComment()) return false;
    } else {
      return true;
    }
  }
  return true;
}

bool Lexer::skipBlock() {
  size_t depth = 1;
  size_t i = position_;
  for (; i < text_.size(); ++i) {
    char c = text_[i];
    if (!has(c, kBlock)) continue;
    if (c == '\n') {
      ++line_;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}') {
      if (--depth == 0) {
        position_ = i + 1;
        return true;
      }
    } else {  // a string or a comment
      position_ = i;
      if (c == '"' ? string().kind != Token::Kind::String : at(i + 1) == '/' || at(i + 1) == '*') {
        if (c == '"' || !skipComment()) return false;
      }
      i = (position_ > i ? position_ : i + 1) - 1;
    }
  }
  position_ = i;
  return false;
}

Token Lexer::next() {
  if (!skipSpace()) return error("a comment does not end");
  if (position_ >= text_.size()) return make(Token::Kind::End, position_);
  char c = text_[position_];
  if (has(c, kNameStart)) return identifier();
  if (c == '%' && has(at(position_ + 1), kNameStart)) return identifier();
  if (has(c, kDigit)) return number();
  if (c == '.') return dotWord();
  if (c == '"') return string();
  return punctuator();
}

Token Lexer::identifier() {
  size_t begin = position_++;
  while (position_ < text_.size() && isNameCharacter(text_[position_])) ++position_;
  return make(Token::Kind::Identifier, begin);
}

Token Lexer::dotWord() {
  size_t begin = ++position_;
  // '.5' is a number, '.2d' a word.
  if (has(at(begin), kDigit) && at(begin + 1) != 'd') {
    --position_;
    return decimalFloat();
  }
  while (isNameCharacter(at(position_)) ||
         (at(position_) == ':' && at(position_ + 1) == ':' && isNameCharacter(at(position_ + 2)))) {
    position_ += at(position_) == ':' ? 2 : 1;
  }
  if (position_ == begin) return error("a '.' stands alone");
  return make(Token::Kind::DotWord, begin);
}

Token Lexer::number() {
  char c = text_[position_], second = at(position_ + 1);
  if (c == '0') {
    if (second == 'x' || second == 'X') return integer(16, position_ + 2);
    if (second == 'f' || second == 'F') return rawFloat(true);
    if (second == 'd' || second == 'D') return rawFloat(false);
    if (second == 'b' || second == 'B') return integer(2, position_ + 2);
  }
  size_t end = position_;
  while (has(at(end), kDigit)) ++end;
  if (at(end) == '.' || at(end) == 'e' || at(end) == 'E') return decimalFloat();
  return integer(c == '0' ? 8 : 10, position_);
}

Token Lexer::integer(unsigned base, size_t digits) {
  size_t begin = position_, i = digits;
  uint64_t value = 0;
  for (; digitOf(at(i)) < base; ++i) {
    uint64_t next = value * base + digitOf(text_[i]);
    if (value > UINT64_MAX / base || next < value * base) return error("an integer has more than 64 bits");
    value = next;
  }
  if (i == digits) return error("digits are missing in a number");
  position_ = i;
  bool isUnsigned = value > uint64_t(INT64_MAX);
  if (at(position_) == 'U' || at(position_) == 'u') {
    isUnsigned = true;
    ++position_;
  }
  if (isNameCharacter(at(position_))) return error("a number ends in a letter");
  Token token = make(Token::Kind::Integer, begin);
  token.bits = value;
  token.isUnsigned = isUnsigned;
  return token;
}

Token Lexer::rawFloat(bool single) {
  size_t begin = position_, wanted = single ? 8 : 16;
  uint64_t value = 0;
  for (size_t i = 0; i < wanted; ++i) {
    unsigned digit = digitOf(at(begin + 2 + i));
    if (digit > 15) return error(single ? "0f needs 8 hexadecimal digits" : "0d needs 16 hexadecimal digits");
    value = value << 4 | digit;
  }
  position_ = begin + 2 + wanted;
  if (isNameCharacter(at(position_))) return error("a number has too many digits");
  Token token = make(Token::Kind::Float, begin);
  token.bits = value;
  token.single = single;
  return token;
}

Token Lexer::decimalFloat() {
  size_t begin = position_;
  double value = 0;
  // charconv takes ".5" and "5."; the text is bounded by the view.
  auto [end, code] = std::from_chars(text_.data() + begin, text_.data() + text_.size(), value);
  if (code != std::errc() || end == text_.data() + begin)
    return error("a floating-point number cannot be read");
  position_ = size_t(end - text_.data());
  if (isNameCharacter(at(position_))) return error("a number ends in a letter");
  Token token = make(Token::Kind::Float, begin);
  token.bits = std::bit_cast<uint64_t>(value);
  return token;
}

Token Lexer::string() {
  size_t begin = ++position_;
  while (position_ < text_.size() && text_[position_] != '"') {
    if (text_[position_] == '\n') return error("a string does not end on its line");
    position_ += text_[position_] == '\\' && at(position_ + 1) != '\n' ? 2 : 1;
  }
  if (position_ >= text_.size()) return error("a string does not end");
  Token token = make(Token::Kind::String, begin);
  ++position_;
  return token;
}

Token Lexer::punctuator() {
  static constexpr struct {
    char first, second;
    char16_t value;
  } kDoubles[] = {{'<', '<', Token::ShiftLeft}, {'>', '>', Token::ShiftRight},
                  {'=', '=', Token::Equal},     {'!', '=', Token::NotEqual},
                  {'<', '=', Token::LessEqual}, {'>', '=', Token::GreaterEqual},
                  {'&', '&', Token::AndAnd},    {'|', '|', Token::OrOr}};
  char c = text_[position_], second = at(position_ + 1);
  size_t begin = position_;
  Token token;
  for (const auto& pair : kDoubles) {
    if (pair.first == c && pair.second == second) {
      position_ += 2;
      token = make(Token::Kind::Punctuator, begin);
      token.punctuator = pair.value;
      return token;
    }
  }
  constexpr std::string_view kSingles = "{}()[],;:|!+-*/%<>&^~?=@";
  if (c == '\0' || kSingles.find(c) == std::string_view::npos) return error("unexpected character");
  ++position_;
  token = make(Token::Kind::Punctuator, begin);
  token.punctuator = static_cast<unsigned char>(c);
  return token;
}

}  // namespace vgpu::ptx
