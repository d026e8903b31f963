#include "cpu_driver/runtime/device_printf.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace vgpu::cpu {
namespace {

// Programming guide, "Formatted Output": at most 32 arguments beside the format.
constexpr int kMostArguments = 32;
constexpr int kMostWidth = 1024;

// The packed buffer: each argument at a multiple of its size, as the va_list of the PTX ABI.
class Arguments {
 public:
  explicit Arguments(const void* buffer) : buffer_(static_cast<const char*>(buffer)) {}

  template <class T>
  T next() {
    offset_ = (offset_ + sizeof(T) - 1) & ~(sizeof(T) - 1);
    T value;
    std::memcpy(&value, buffer_ + offset_, sizeof value);
    offset_ += sizeof(T);
    ++count_;
    return value;
  }
  int count() const { return count_; }

 private:
  const char* buffer_;
  size_t offset_ = 0;
  int count_ = 0;
};

struct Conversion {
  char flags[8] = {};
  int width = -1;
  int precision = -1;
  bool wide = false;  // a 64-bit integer
  char kind = 0;
};

const char* parseNumber(const char* at, Arguments& arguments, int* number) {
  if (*at == '*') {
    *number = arguments.next<int32_t>();
    return at + 1;
  }
  if (*at < '0' || *at > '9') return at;
  int value = 0;
  for (; *at >= '0' && *at <= '9'; ++at) value = value < kMostWidth ? value * 10 + (*at - '0') : value;
  *number = value;
  return at;
}

const char* parse(const char* at, Arguments& arguments, Conversion& conversion) {
  size_t flags = 0;
  while (*at && std::strchr("-+ #0", *at)) {
    if (flags < sizeof conversion.flags - 1) conversion.flags[flags++] = *at;
    ++at;
  }
  at = parseNumber(at, arguments, &conversion.width);
  if (conversion.width < -1) {
    if (flags < sizeof conversion.flags - 1) conversion.flags[flags] = '-';
    conversion.width = -conversion.width;
  }
  if (*at == '.') {
    conversion.precision = 0;
    at = parseNumber(at + 1, arguments, &conversion.precision);
  }
  for (; *at && std::strchr("hljztL", *at); ++at) conversion.wide |= *at != 'h' && *at != 'L';
  conversion.kind = *at;
  return *at ? at + 1 : at;
}

template <class T>
void print(const Conversion& conversion, const char* length, T value, std::string* text) {
  char format[32];
  char precision[16] = "";
  char width[16] = "";
  if (conversion.width >= 0)
    std::snprintf(width, sizeof width, "%d", conversion.width < kMostWidth ? conversion.width : kMostWidth);
  if (conversion.precision >= 0) {
    std::snprintf(precision, sizeof precision, ".%d",
                  conversion.precision < kMostWidth ? conversion.precision : kMostWidth);
  }
  std::snprintf(format, sizeof format, "%%%s%s%s%s%c", conversion.flags, width, precision, length,
                conversion.kind);
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
  // The format was built above from a fixed set of conversions.
  const int size = std::snprintf(nullptr, 0, format, value);
  if (size > 0) {
    const size_t before = text->size();
    text->resize(before + static_cast<size_t>(size) + 1);
    std::snprintf(text->data() + before, static_cast<size_t>(size) + 1, format, value);
    text->resize(before + static_cast<size_t>(size));
  }
#pragma clang diagnostic pop
}

bool convert(const Conversion& conversion, Arguments& arguments, std::string* text) {
  switch (conversion.kind) {
    case '%':
      text->push_back('%');
      return true;
    case 'd':
    case 'i':
      if (conversion.wide)
        print(conversion, "ll", arguments.next<long long>(), text);
      else
        print(conversion, "", arguments.next<int>(), text);
      return true;
    case 'u':
    case 'o':
    case 'x':
    case 'X':
      if (conversion.wide)
        print(conversion, "ll", arguments.next<unsigned long long>(), text);
      else
        print(conversion, "", arguments.next<unsigned>(), text);
      return true;
    case 'c':
      print(conversion, "", arguments.next<int>(), text);
      return true;
    case 'p':
      print(conversion, "", arguments.next<void*>(), text);
      return true;
    case 's': {
      const char* string = arguments.next<const char*>();
      print(conversion, "", string ? string : "(null)", text);
      return true;
    }
    case 'f':
    case 'F':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
      print(conversion, "", arguments.next<double>(), text);
      return true;
    default:
      return false;
  }
}

}  // namespace

int formatDevicePrintf(const char* format, const void* buffer, std::string* text) {
  Arguments arguments(buffer);
  while (*format) {
    if (*format != '%') {
      const size_t literal = std::strcspn(format, "%");
      text->append(format, literal);
      format += literal;
      continue;
    }
    Conversion conversion;
    format = parse(format + 1, arguments, conversion);
    if (!convert(conversion, arguments, text) || arguments.count() > kMostArguments) return -1;
  }
  return arguments.count();
}

}  // namespace vgpu::cpu
