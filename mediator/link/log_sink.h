// Where the log lines of daemon and executor go: spdlog on stderr, as text for people or one JSON object a
// line for collectors. Installed once at the start of main, before other threads; lines may then come from
// any thread. Field values may hold bytes of a guest (a program's name): both forms escape them, so that a
// line stays one line.
#pragma once

#include <string>
#include <string_view>

#include "base/log.h"
#include "mediator/link/executor_arguments.h"

namespace vgpu::link {

// `process` is named in every line ("mediator", "executor"); `session` too, unless 0.
void installLogSink(LogFormat format, log::Level level, std::string_view process);
// Later lines of this process name this session; 0: none.
void setLogSession(uint64_t session);

// The two forms, without time; for the sink and its tests.
std::string formatText(log::Level level, std::string_view event, log::Fields fields);
std::string formatJson(log::Level level, std::string_view event, log::Fields fields);
void appendJsonString(std::string& out, std::string_view text);

}  // namespace vgpu::link
