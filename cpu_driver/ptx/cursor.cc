#include "cpu_driver/ptx/cursor.h"

namespace vgpu::ptx {
namespace {

// Names in messages are cut: a log line is no place for a megabyte of text.
std::string quoted(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string shown = "'";
  for (char c : text.substr(0, kLongest)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown + (text.size() > kLongest ? "...'" : "'");
}

}  // namespace

void Cursor::advance() {
  if (failed()) return;
  token_ = lexer_.next();
  if (token_.kind == Token::Kind::Error) fail(std::string(token_.text));
}

void Cursor::failAt(uint32_t line, std::string reason) {
  if (failed()) return;
  diagnostic_ = Diagnostic{line, std::move(reason)};
  token_.kind = Token::Kind::End;
  token_.text = {};
}

void Cursor::failUnexpected(std::string_view wanted) {
  std::string found;
  if (token_.kind == Token::Kind::End) {
    found = "the end of the text";
  } else if (token_.kind == Token::Kind::DotWord) {
    found = quoted("." + std::string(token_.text.substr(0, 100)));
  } else {
    found = quoted(token_.text);
  }
  fail("syntax error at " + found + ": expected " + std::string(wanted));
}

bool Cursor::accept(char16_t punctuator) {
  if (!at(punctuator)) return false;
  advance();
  return true;
}

bool Cursor::acceptWord(std::string_view word) {
  if (!atDotWord(word)) return false;
  advance();
  return true;
}

bool Cursor::acceptName(std::string_view name) {
  if (!atName() || token_.text != name) return false;
  advance();
  return true;
}

bool Cursor::expect(char16_t punctuator) {
  if (accept(punctuator)) return true;
  std::string wanted = "' '";
  wanted[1] = char(punctuator);
  failUnexpected(wanted);
  return false;
}

std::string_view Cursor::expectName() {
  if (!atName()) {
    failUnexpected("a name");
    return {};
  }
  return take().text;
}

uint64_t Cursor::expectInteger() {
  if (token_.kind != Token::Kind::Integer) {
    failUnexpected("an integer");
    return 0;
  }
  return take().bits;
}

bool Cursor::skipBlock() {
  uint32_t line = token_.line;
  if (!at('{')) {
    failUnexpected("'{'");
    return false;
  }
  if (!lexer_.skipBlock()) {
    failAt(line, "a block that begins here does not end");
    return false;
  }
  blockEnd_ = lexer_.offset() - 1;
  advance();
  return true;
}

void Cursor::skipStatement() {
  while (!atEnd() && !at(';')) advance();
  expect(';');
}

void Cursor::skipLine() {
  if (failed()) return;
  lexer_.skipLine();
  advance();
}

}  // namespace vgpu::ptx
