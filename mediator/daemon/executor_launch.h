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

// For whom an executor is.
struct Placement {
  std::string tenant;
  std::shared_ptr<Vgpu> vgpu;  // null: the whole of what the driver has

  bool operator==(const Placement&) const = default;
};

Result<ExecutorProcess> launchExecutor(const Configuration& configuration, const Installation& installation,
                                       const Placement& placement);

}  // namespace vgpu::daemon
