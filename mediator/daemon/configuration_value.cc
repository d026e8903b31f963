#include "mediator/daemon/configuration_value.h"

#include <charconv>
#include <cstring>
#include <optional>
#include <sstream>

#include "transport/carrier/endpoint.h"

namespace vgpu::daemon {
namespace {

struct Unit {
  const char* name;
  uint64_t factor;
};
constexpr Unit kByteUnits[] = {{"", 1},
                               {"B", 1},
                               {"KiB", 1ull << 10},
                               {"MiB", 1ull << 20},
                               {"GiB", 1ull << 30},
                               {"TiB", 1ull << 40},
                               {"KB", 1000},
                               {"MB", 1000'000},
                               {"GB", 1000'000'000}};
constexpr Unit kTimeUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};

std::optional<uint64_t> wholeNumber(std::string_view text, int base = 10) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

template <size_t N>
std::optional<uint64_t> numberWithUnit(std::string_view text, const Unit (&units)[N]) {
  const size_t digits = text.find_first_not_of("0123456789");
  const auto number = wholeNumber(text.substr(0, digits));
  std::string_view unit = digits == std::string_view::npos ? "" : text.substr(digits);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  if (!number) return std::nullopt;
  for (const Unit& known : units) {
    uint64_t product;
    if (unit == known.name && !__builtin_mul_overflow(*number, known.factor, &product)) return product;
  }
  return std::nullopt;
}

std::optional<uint64_t> truth(std::string_view text) {
  for (const char* yes : {"true", "yes", "on"}) {
    if (text == yes) return 1;
  }
  for (const char* no : {"false", "no", "off"}) {
    if (text == no) return 0;
  }
  return std::nullopt;
}

std::optional<uint64_t> numberOf(KeyType type, std::string_view text) {
  switch (type) {
    case KeyType::Boolean:
      return truth(text);
    case KeyType::Integer:
      return wholeNumber(text);
    case KeyType::Bytes:
      return numberWithUnit(text, kByteUnits);
    case KeyType::Duration:
      return numberWithUnit(text, kTimeUnits);
    case KeyType::Mode:
      return wholeNumber(text, 8);
    default:
      return std::nullopt;
  }
}

std::string withUnit(KeyType type, uint64_t number) {
  if (type == KeyType::Duration) {
    return number % 1000 == 0 ? std::to_string(number / 1000) + "s" : std::to_string(number) + "ms";
  }
  if (type == KeyType::Bytes) {
    for (const char* unit : {"TiB", "GiB", "MiB", "KiB"}) {
      for (const Unit& known : kByteUnits) {
        if (std::strcmp(unit, known.name) == 0 && number != 0 && number % known.factor == 0) {
          return std::to_string(number / known.factor) + unit;
        }
      }
    }
  }
  if (type == KeyType::Mode) {
    std::ostringstream out;
    out << '0' << std::oct << number;
    return out.str();
  }
  return std::to_string(number);
}

std::string readNumber(const ConfigurationKey& key, const std::string& text, ConfigurationValue& value) {
  const auto number = numberOf(key.type, text);
  if (!number) return std::string("must be ") + describeType(key.type) + ", not \"" + text + "\"";
  value.number = *number;
  if (key.type == KeyType::Boolean) return "";
  if (*number >= key.smallest && *number <= key.largest) return "";
  return "must be from " + withUnit(key.type, key.smallest) + " to " + withUnit(key.type, key.largest) +
         ", not " + text;
}

std::string readChoice(const ConfigurationKey& key, const std::string& text) {
  std::istringstream choices(key.choices);
  for (std::string choice; choices >> choice;) {
    if (choice == text) return "";
  }
  return std::string("must be one of: ") + key.choices + "; not \"" + text + "\"";
}

std::string readEndpoints(const std::vector<std::string>& items) {
  if (items.empty()) return "needs at least one endpoint";
  for (const std::string& item : items) {
    if (auto endpoint = transport::parseEndpoint(item); !endpoint) return endpoint.error().message();
  }
  return "";
}

}  // namespace

bool isList(KeyType type) {
  return type == KeyType::TextList || type == KeyType::EndpointList || type == KeyType::SliceList;
}

const char* describeType(KeyType type) {
  switch (type) {
    case KeyType::Text:
      return "text";
    case KeyType::AbsolutePath:
      return "an absolute path";
    case KeyType::Boolean:
      return "true or false";
    case KeyType::Integer:
      return "a whole number";
    case KeyType::Bytes:
      return "a size such as 512MiB";
    case KeyType::Duration:
      return "a duration such as 30s or 500ms";
    case KeyType::Mode:
      return "file mode bits in octal such as 0660";
    case KeyType::Choice:
      return "one of several words";
    case KeyType::TextList:
      return "a list of texts";
    case KeyType::EndpointList:
      return "a list of endpoints such as unix:/run/vgpu/mediator.sock";
    case KeyType::SliceList:
      return "a list of slices";
  }
  return "";
}

std::string readValue(const ConfigurationKey& key, const std::vector<std::string>& items,
                      ConfigurationValue& value) {
  value = {};
  if (isList(key.type)) {
    value.list = items;
    if (key.type == KeyType::EndpointList) return readEndpoints(items);
    return key.type == KeyType::SliceList && !items.empty() ? "must be a list in brackets: [{name: ...}]"
                                                            : "";
  }
  const std::string& text = items.at(0);
  value.text = text;
  switch (key.type) {
    case KeyType::Text:
      return "";
    case KeyType::AbsolutePath:
      return text.empty() || text.starts_with('/') ? "" : "must be an absolute path";
    case KeyType::Choice:
      return readChoice(key, text);
    default:
      return readNumber(key, text, value);
  }
}

}  // namespace vgpu::daemon
