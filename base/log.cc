#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace vgpu::log {
namespace {

Level levelFromEnvironment() {
  const char* name = std::getenv("VGPU_LOG");
  return name ? levelFromName(name) : Level::Warning;
}

std::atomic<Level>& currentLevel() {
  static std::atomic<Level> level{levelFromEnvironment()};
  return level;
}

const char* nameOf(Level level) {
  constexpr const char* kNames[] = {"debug", "info", "warning", "error", "off"};
  return kNames[static_cast<int>(level)];
}

void appendValue(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \"=\n\t") == std::string_view::npos;
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (char c : value) {
    if (c == '\n') {
      line += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') line += '\\';
    line += c;
  }
  line += '"';
}

void writeToStderr(Level level, std::string_view event, Fields fields) {
  std::string line = "vgpu ";
  line += nameOf(level);
  line += ": ";
  line += event;
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    appendValue(line, field.value);
  }
  line += '\n';
  // One write a line, so that lines of several threads do not mix; nothing can be done where stderr is
  // closed.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::atomic<Sink> currentSink{&writeToStderr};

}  // namespace

Level levelFromName(std::string_view name) {
  if (name == "debug") return Level::Debug;
  if (name == "info") return Level::Info;
  if (name == "error") return Level::Error;
  if (name == "off") return Level::Off;
  return Level::Warning;
}

void setLevel(Level level) { currentLevel().store(level, std::memory_order_relaxed); }
Level level() { return currentLevel().load(std::memory_order_relaxed); }
void setSink(Sink sink) { currentSink.store(sink, std::memory_order_release); }

void write(Level level, std::string_view event, Fields fields) {
  if (level < log::level()) return;
  currentSink.load(std::memory_order_acquire)(level, event, fields);
}

}  // namespace vgpu::log
