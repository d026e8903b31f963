#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "mediator/daemon/mediator.h"

namespace vgpu::daemon {

std::optional<Configuration> loadConfiguration(const MediatorOptions& options,
                                               std::vector<std::string>& problems) {
  std::string yaml;
  if (!options.configurationFile.empty()) {
    std::ifstream file(options.configurationFile, std::ios::binary);
    if (!file) {
      problems.push_back(options.configurationFile + ": " + std::strerror(errno));
      return std::nullopt;
    }
    yaml.assign(std::istreambuf_iterator<char>(file), {});
  }
  ConfigurationOutcome outcome = readConfiguration(yaml, options.overrides, options.defaults);
  for (const ConfigurationMistake& mistake : outcome.mistakes) {
    problems.push_back(mistake.text(options.configurationFile));
  }
  if (!problems.empty()) return std::nullopt;
  return std::move(outcome.configuration);
}

}  // namespace vgpu::daemon
