#include "mediator/link/log_sink.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <memory>

namespace vgpu::link {
namespace {

struct SinkState {
  LogFormat format = LogFormat::Text;
  std::string process;
  std::atomic<uint64_t> session{0};
  std::unique_ptr<spdlog::logger> logger;
};

// Never destroyed: lines may come while static objects are being destroyed.
SinkState& state() {
  static auto* state = new SinkState;
  return *state;
}

const char* nameOf(log::Level level) {
  constexpr const char* kNames[] = {"debug", "info", "warning", "error", "off"};
  return kNames[static_cast<int>(level)];
}

spdlog::level::level_enum spdlogLevel(log::Level level) {
  constexpr spdlog::level::level_enum kLevels[] = {
      spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err, spdlog::level::off};
  return kLevels[static_cast<int>(level)];
}

void appendEscaped(std::string& out, char c) {
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  out += "\\u00";
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

bool isControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

void appendTextValue(std::string& out, std::string_view value) {
  bool plain = !value.empty();
  for (char c : value) plain = plain && !isControl(c) && c != ' ' && c != '"' && c != '=';
  if (plain) {
    out += value;
  } else {
    appendJsonString(out, value);
  }
}

// The part of a line that names where it is from, in the sink's form.
std::string originText(const SinkState& sink) {
  const uint64_t session = sink.session.load(std::memory_order_relaxed);
  std::string origin = sink.process;
  if (session != 0) origin += "[" + std::to_string(session) + "]";
  return origin;
}

std::string originJson(const SinkState& sink) {
  const uint64_t session = sink.session.load(std::memory_order_relaxed);
  std::string origin = "\"process\":";
  appendJsonString(origin, sink.process);
  if (session != 0) origin += ",\"session\":" + std::to_string(session);
  return origin;
}

void writeToSpdlog(log::Level level, std::string_view event, log::Fields fields) {
  SinkState& sink = state();
  const std::string line = sink.format == LogFormat::Json
                               ? originJson(sink) + "," + formatJson(level, event, fields).substr(1)
                               : originText(sink) + ": " + formatText(level, event, fields);
  sink.logger->log(spdlogLevel(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void appendJsonString(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (isControl(c)) {
      appendEscaped(out, c);
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += '"';
}

std::string formatText(log::Level level, std::string_view event, log::Fields fields) {
  std::string line = nameOf(level);
  line += ": ";
  line += event;
  for (const log::Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    appendTextValue(line, field.value);
  }
  return line;
}

std::string formatJson(log::Level level, std::string_view event, log::Fields fields) {
  std::string line = "{\"level\":\"";
  line += nameOf(level);
  line += "\",\"event\":";
  appendJsonString(line, event);
  for (const log::Field& field : fields) {
    line += ',';
    appendJsonString(line, field.key);
    line += ':';
    appendJsonString(line, field.value);
  }
  line += '}';
  return line;
}

void installLogSink(LogFormat format, log::Level level, std::string_view process) {
  SinkState& sink = state();
  sink.format = format;
  sink.process = process;
  sink.logger = std::make_unique<spdlog::logger>("vgpu", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  sink.logger->set_level(spdlog::level::trace);  // base/log has already decided
  const char* pattern =
      format == LogFormat::Json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v" : "%Y-%m-%dT%H:%M:%S.%eZ %v";
  sink.logger->set_formatter(
      std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
  log::setLevel(level);
  log::setSink(&writeToSpdlog);
}

void setLogSession(uint64_t session) { state().session.store(session, std::memory_order_relaxed); }

}  // namespace vgpu::link
