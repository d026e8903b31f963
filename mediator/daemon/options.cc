#include "mediator/daemon/options.h"

#include <unistd.h>

#include <charconv>
#include <string_view>

namespace vgpu::daemon {
namespace {

// `--name value` and `--name=value`; moves `at` on in the first form.
bool takeValue(std::string_view name, int count, const char* const* words, int& at, std::string& value) {
  const std::string_view word = words[at];
  if (word == name && at + 1 < count) {
    value = words[++at];
    return true;
  }
  if (word.starts_with(name) && word.substr(name.size()).starts_with('=')) {
    value = word.substr(name.size() + 1);
    return true;
  }
  return false;
}

Result<int> number(const std::string& option, const std::string& text, int largest) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || value < 0 || value > largest)
    return Error{option, "needs a number up to " + std::to_string(largest)};
  return value;
}

}  // namespace

const char* usage() {
  return "usage: vgpu-mediator [options]\n"
         "  --configuration FILE        read FILE instead of /etc/vgpu/mediator.yaml\n"
         "  --set KEY=VALUE             override a key of the configuration; may be repeated\n"
         "  --default KEY=VALUE         another default for a key that the file may set; may be repeated\n"
         "  --check-configuration       say what is wrong with the configuration, and end\n"
         "  --configuration-reference   print the reference of all keys, and end\n"
         "  --metrics-reference         print the reference of all metrics, and end\n"
         "  --idle-exit SECONDS         end when nobody has needed the mediator for so long\n"
         "  --ready-fd NUMBER           write \"ready\" to this descriptor when guests may connect\n"
         "  --version, --help\n";
}

Result<Options> parseOptions(int count, const char* const* words) {
  Options options;
  std::string value;
  bool named = false;
  for (int at = 1; at < count; ++at) {
    const std::string_view word = words[at];
    if (takeValue("--configuration", count, words, at, value)) {
      options.mediator.configurationFile = value;
      named = true;
    } else if (takeValue("--set", count, words, at, value)) {
      options.mediator.overrides.push_back(value);
    } else if (takeValue("--default", count, words, at, value)) {
      options.mediator.defaults.push_back(value);
    } else if (takeValue("--idle-exit", count, words, at, value)) {
      const auto seconds = number("--idle-exit", value, 86400);
      if (!seconds) return seconds.error();
      options.mediator.idleExit = std::chrono::seconds(seconds.value());
    } else if (takeValue("--ready-fd", count, words, at, value)) {
      const auto fd = number("--ready-fd", value, 1 << 20);
      if (!fd) return fd.error();
      options.readyFd = fd.value();
    } else if (word == "--check-configuration") {
      options.action = Options::Action::CheckConfiguration;
    } else if (word == "--configuration-reference") {
      options.action = Options::Action::ConfigurationReference;
    } else if (word == "--metrics-reference") {
      options.action = Options::Action::MetricsReference;
    } else if (word == "--version") {
      options.action = Options::Action::Version;
    } else if (word == "--help" || word == "-h") {
      options.action = Options::Action::Help;
    } else {
      return Error{std::string(word), "unknown option, or its value is missing"};
    }
  }
  // The default file may be absent; one that was named may not.
  if (!named && ::access(kDefaultConfigurationFile, F_OK) == 0) {
    options.mediator.configurationFile = kDefaultConfigurationFile;
  }
  if (options.mediator.configurationFile == "/dev/null") options.mediator.configurationFile.clear();
  return options;
}

}  // namespace vgpu::daemon
