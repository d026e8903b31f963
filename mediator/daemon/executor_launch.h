// From the configuration to a started executor: which driver, which sandbox, which cache folder. Main thread.
#pragma once

#include <string>

#include "base/result.h"
#include "mediator/daemon/configuration.h"
#include "mediator/daemon/executor_process.h"

namespace vgpu::daemon {

// The installation that this program is a part of: programs in bin/, host libraries in lib*/vgpu-host/.
struct Installation {
  std::string programDirectory;
  std::string hostLibraryDirectory;

  static Result<Installation> ofThisProgram();
};

struct DriverChoice {
  std::string library;
  link::SandboxProfile sandbox = link::SandboxProfile::Cpu;
};
DriverChoice chooseDriver(const Configuration& configuration, const Installation& installation);

// The tenant's own folder below cache.directory, made when it is missing. Invalid where there is no cache: a
// disk that is full or read-only costs speed and nothing else.
UniqueFd openTenantCache(const Configuration& configuration, const std::string& tenant);

Result<ExecutorProcess> launchExecutor(const Configuration& configuration, const Installation& installation,
                                       const std::string& tenant);

}  // namespace vgpu::daemon
