// The command line of vgpu-mediator. Main thread, once.
#pragma once

#include <string>

#include "base/result.h"
#include "mediator/daemon/mediator.h"

namespace vgpu::daemon {

inline constexpr const char* kDefaultConfigurationFile = "/etc/vgpu/mediator.yaml";

struct Options {
  enum class Action { Serve, CheckConfiguration, ConfigurationReference, MetricsReference, Version, Help };
  Action action = Action::Serve;
  MediatorOptions mediator;
  int readyFd = -1;  // told "ready\n" when all endpoints listen, or what went wrong
};

Result<Options> parseOptions(int count, const char* const* words);
const char* usage();

}  // namespace vgpu::daemon
