// What the mediator is configured with, and the one table that describes every key: its type, default, bounds
// and meaning. Reading, checking, overriding on the command line and docs/configuration.md all come from that
// table. Runs in the daemon's main thread, at start and at SIGHUP. The file is the administrator's: trusted
// to mean well, not to be free of mistakes, so whatever is wrong is named with line and column and nothing of
// it is used.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "mediator/daemon/vgpu_slice.h"
#include "mediator/link/executor_arguments.h"

namespace vgpu::daemon {

struct Configuration {
  std::vector<std::string> endpoints;
  unsigned socketMode = 0666;
  bool allowPlainTcp = false;

  uint32_t mostSessions = 0;
  link::ExecutorLimits limits;
  bool strict = false;

  std::string vgpuDirectory;
  std::vector<VgpuSlice> vgpus;

  std::string executorProgram;  // empty: beside the daemon
  std::string driver;           // auto, cpu, nvidia, or a path
  std::string sandbox;          // auto, cpu, nvidia, off
  bool prestart = true;
  uint32_t workers = 0;
  uint64_t deviceMemoryBytes = 0;
  std::vector<std::string> readablePaths;

  std::string cacheDirectory;  // empty: no cache
  uint64_t cacheBytes = 0;

  std::chrono::milliseconds drainWait{};
  std::string controlSocket;   // empty: no control API
  std::string metricsAddress;  // "off": none
  log::Level logLevel = log::Level::Info;
  link::LogFormat logFormat = link::LogFormat::Text;

  std::map<std::string, std::string> written;  // every key with its value as text, for comparing
};

// One value after its type's check: whichever of these the type uses.
struct ConfigurationValue {
  std::string text;
  uint64_t number = 0;  // also bytes, milliseconds, a mode, 0 or 1
  std::vector<std::string> list;
  std::vector<VgpuSlice> slices;
};

enum class KeyType {
  Text,
  AbsolutePath,
  Boolean,
  Integer,
  Bytes,
  Duration,
  Mode,
  Choice,
  TextList,
  EndpointList,
  SliceList
};

struct ConfigurationKey {
  const char* name;  // dotted: "sessions.max"
  KeyType type;
  const char* fallback;        // as it would be written in the file; lists separated by spaces
  uint64_t smallest, largest;  // of a number
  const char* choices;         // of a Choice, separated by spaces
  bool reloads;                // false: takes effect at the next start only
  const char* meaning;
  void (*set)(Configuration&, const ConfigurationValue&);
};

std::span<const ConfigurationKey> configurationKeys();

struct ConfigurationMistake {
  int line = 0, column = 0;  // from 1; 0: not in the file (the command line)
  std::string key;           // may be empty
  std::string reason;

  std::string text(std::string_view file) const;  // "file:line:column: key: reason"
};

struct ConfigurationOutcome {
  Configuration configuration;  // to be used only when there are no mistakes
  std::vector<ConfigurationMistake> mistakes;
};

// "key=value" of the command line: `overrides` win over the file, the file over `defaults`, and these over
// the table's. A list is written with spaces between its items, or as YAML's [a, b].
ConfigurationOutcome readConfiguration(std::string_view yaml, std::span<const std::string> overrides = {},
                                       std::span<const std::string> defaults = {});

// Keys whose values differ and that a running daemon cannot change.
std::vector<std::string> keysForNextStart(const Configuration& running, const Configuration& wanted);

// docs/configuration.md.
std::string configurationReference();

}  // namespace vgpu::daemon
