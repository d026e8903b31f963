#include "cpu_driver/ptx/expression.h"

#include <bit>
#include <cmath>

namespace vgpu::ptx {
namespace {

constexpr int kDeepest = 64;  // of parentheses and unary operators: bounds the stack

double asDouble(const Constant& c) {
  if (c.single) return double(std::bit_cast<float>(uint32_t(c.bits)));
  if (c.isFloat) return std::bit_cast<double>(c.bits);
  return c.isUnsigned ? double(c.bits) : double(int64_t(c.bits));
}

Constant integer(uint64_t bits, bool isUnsigned = false) { return {false, false, isUnsigned, bits}; }
Constant floating(double value) { return {true, false, false, std::bit_cast<uint64_t>(value)}; }

int precedenceOf(const Token& token) {
  if (token.kind != Token::Kind::Punctuator) return 0;
  switch (token.punctuator) {
    case '*':
    case '/':
    case '%':
      return 10;
    case '+':
    case '-':
      return 9;
    case Token::ShiftLeft:
    case Token::ShiftRight:
      return 8;
    case '<':
    case '>':
    case Token::LessEqual:
    case Token::GreaterEqual:
      return 7;
    case Token::Equal:
    case Token::NotEqual:
      return 6;
    case '&':
      return 5;
    case '^':
      return 4;
    case '|':
      return 3;
    case Token::AndAnd:
      return 2;
    case Token::OrOr:
      return 1;
    default:
      return 0;
  }
}

uint64_t divide(Cursor& cursor, uint64_t a, uint64_t b, bool isUnsigned, bool remainder) {
  if (b == 0) {
    cursor.fail("division by zero in a constant expression");
    return 0;
  }
  if (isUnsigned) return remainder ? a % b : a / b;
  if (b == UINT64_MAX) return remainder ? 0 : 0 - a;  // also for the smallest integer
  return uint64_t(remainder ? int64_t(a) % int64_t(b) : int64_t(a) / int64_t(b));
}

uint64_t shift(uint64_t a, uint64_t count, bool left, bool isUnsigned) {
  if (count > 63) return left || isUnsigned || int64_t(a) >= 0 ? 0 : UINT64_MAX;
  if (left) return a << count;
  return isUnsigned ? a >> count : uint64_t(int64_t(a) >> count);
}

Constant combineFloats(Cursor& cursor, char16_t op, double a, double b) {
  switch (op) {
    case '+':
      return floating(a + b);
    case '-':
      return floating(a - b);
    case '*':
      return floating(a * b);
    case '/':
      return floating(a / b);
    case '<':
      return integer(a < b);
    case '>':
      return integer(a > b);
    case Token::LessEqual:
      return integer(a <= b);
    case Token::GreaterEqual:
      return integer(a >= b);
    case Token::Equal:
      return integer(a == b);
    case Token::NotEqual:
      return integer(a != b);
    default:
      cursor.fail("an integer operator in a floating-point constant expression");
      return {};
  }
}

Constant combine(Cursor& cursor, char16_t op, const Constant& left, const Constant& right) {
  if (left.isFloat || right.isFloat) return combineFloats(cursor, op, asDouble(left), asDouble(right));
  uint64_t a = left.bits, b = right.bits;
  bool u = left.isUnsigned || right.isUnsigned;
  bool less = u ? a < b : int64_t(a) < int64_t(b);
  switch (op) {
    case '+':
      return integer(a + b, u);
    case '-':
      return integer(a - b, u);
    case '*':
      return integer(a * b, u);
    case '/':
      return integer(divide(cursor, a, b, u, false), u);
    case '%':
      return integer(divide(cursor, a, b, u, true), u);
    case Token::ShiftLeft:
      return integer(shift(a, b, true, left.isUnsigned), left.isUnsigned);
    case Token::ShiftRight:
      return integer(shift(a, b, false, left.isUnsigned), left.isUnsigned);
    case '<':
      return integer(less);
    case '>':
      return integer(!less && a != b);
    case Token::LessEqual:
      return integer(less || a == b);
    case Token::GreaterEqual:
      return integer(!less);
    case Token::Equal:
      return integer(a == b);
    case Token::NotEqual:
      return integer(a != b);
    case '&':
      return integer(a & b, u);
    case '^':
      return integer(a ^ b, u);
    case '|':
      return integer(a | b, u);
    case Token::AndAnd:
      return integer(a && b);
    default:
      return integer(a || b);
  }
}

Constant parseBinary(Cursor& cursor, int lowest, int depth);

// '(' expression ')', or a cast (.s64) and (.u64) of what follows.
Constant parseParentheses(Cursor& cursor, int depth);

Constant parsePrimary(Cursor& cursor, int depth) {
  if (depth > kDeepest) {
    cursor.fail("a constant expression is nested too deeply");
    return {};
  }
  if (cursor.at('(')) return parseParentheses(cursor, depth);
  if (cursor.accept('-')) {
    Constant c = parsePrimary(cursor, depth + 1);
    return c.isFloat ? floating(-asDouble(c))
                     : integer(0 - c.bits, c.isUnsigned && c.bits <= uint64_t(INT64_MAX));
  }
  if (cursor.accept('+')) return parsePrimary(cursor, depth + 1);
  if (cursor.accept('~')) {
    Constant c = parsePrimary(cursor, depth + 1);
    return integer(~c.bits, c.isUnsigned);
  }
  if (cursor.accept('!')) {
    Constant c = parsePrimary(cursor, depth + 1);
    return integer(c.isFloat ? asDouble(c) == 0 : c.bits == 0);
  }
  if (cursor.acceptName("WARP_SZ")) return integer(32);
  Token token = cursor.token();
  if (token.kind != Token::Kind::Integer && token.kind != Token::Kind::Float) {
    cursor.failUnexpected("a constant");
    return {};
  }
  cursor.advance();
  return {token.kind == Token::Kind::Float, token.single, token.isUnsigned, token.bits};
}

Constant parseParentheses(Cursor& cursor, int depth) {
  cursor.expect('(');
  if (cursor.atDotWord("s64") || cursor.atDotWord("u64")) {
    bool isUnsigned = cursor.take().text == "u64";
    cursor.expect(')');
    Constant c = parsePrimary(cursor, depth + 1);
    return integer(c.isFloat ? uint64_t(int64_t(std::fmin(std::fmax(asDouble(c), -9e18), 9e18))) : c.bits,
                   isUnsigned);
  }
  Constant c = parseBinary(cursor, 0, depth + 1);
  if (cursor.accept('?')) {
    Constant yes = parseBinary(cursor, 0, depth + 1);
    cursor.expect(':');
    Constant no = parseBinary(cursor, 0, depth + 1);
    c = (c.isFloat ? asDouble(c) != 0 : c.bits != 0) ? yes : no;
  }
  cursor.expect(')');
  return c;
}

Constant parseBinary(Cursor& cursor, int lowest, int depth) {
  Constant left = parsePrimary(cursor, depth);
  for (;;) {
    int precedence = precedenceOf(cursor.token());
    if (precedence == 0 || precedence <= lowest) return left;
    char16_t op = cursor.take().punctuator;
    left = combine(cursor, op, left, parseBinary(cursor, precedence, depth + 1));
  }
}

}  // namespace

Constant parseConstant(Cursor& cursor) { return parseBinary(cursor, 0, 0); }

int64_t parseInteger(Cursor& cursor) {
  Constant c = parseConstant(cursor);
  if (c.isFloat) cursor.fail("an integer is needed here");
  return int64_t(c.bits);
}

uint64_t encode(const Constant& constant, Type type) {
  if (type == Type::F32) {
    if (constant.single) return constant.bits;
    return std::bit_cast<uint32_t>(float(asDouble(constant)));
  }
  if (type == Type::F64) return std::bit_cast<uint64_t>(asDouble(constant));
  if (constant.single || !constant.isFloat) return constant.bits;
  // A double where bits are wanted: its own bits in 64, a float's in 32.
  return bitsOf(type) == 32 ? std::bit_cast<uint32_t>(float(asDouble(constant))) : constant.bits;
}

}  // namespace vgpu::ptx
