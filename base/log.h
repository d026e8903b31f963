// One line an event, structured as key=value, to stderr or to whatever sink the process installs.
// Guest libraries log at `warning` by default and are silent with VGPU_LOG=off; the mediator installs spdlog.
// Any thread. Never stdout, which belongs to the user's program.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace vgpu::log {

enum class Level { Debug, Info, Warning, Error, Off };

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <class Number>
    requires std::is_arithmetic_v<Number>
  Field(std::string_view k, Number v) : key(k), value(std::to_string(v)) {}
};

using Fields = std::initializer_list<Field>;
using Sink = void (*)(Level, std::string_view event, Fields);

// The level named by `name` (debug, info, warning, error, off); Warning for an unknown name.
Level levelFromName(std::string_view name);
void setLevel(Level level);
Level level();
void setSink(Sink sink);

void write(Level level, std::string_view event, Fields fields = {});
inline void debug(std::string_view event, Fields fields = {}) { write(Level::Debug, event, fields); }
inline void info(std::string_view event, Fields fields = {}) { write(Level::Info, event, fields); }
inline void warning(std::string_view event, Fields fields = {}) { write(Level::Warning, event, fields); }
inline void error(std::string_view event, Fields fields = {}) { write(Level::Error, event, fields); }

}  // namespace vgpu::log
