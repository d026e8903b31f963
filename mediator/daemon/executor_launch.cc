#include "mediator/daemon/executor_launch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/log.h"

namespace vgpu::daemon {

namespace files = std::filesystem;

Result<Installation> Installation::ofThisProgram() {
  std::error_code failed;
  const files::path program = files::read_symlink("/proc/self/exe", failed);
  if (failed) return Error{"find this program's folder", failed.message(), failed.value()};
  Installation installation;
  installation.programDirectory = program.parent_path();
  const files::path prefix = program.parent_path().parent_path();
  // Distributions name the library folder differently; the build tree and Debian are the first.
  for (const char* folder : {"lib/vgpu-host", "lib64/vgpu-host", "lib/x86_64-linux-gnu/vgpu-host"}) {
    installation.hostLibraryDirectory = prefix / folder;
    if (files::exists(prefix / folder, failed)) return installation;
  }
  installation.hostLibraryDirectory = prefix / "lib/vgpu-host";
  return installation;
}

DriverChoice chooseDriver(const Configuration& configuration, const Installation& installation) {
  std::string driver = configuration.driver;
  if (driver == "auto") driver = ::access("/dev/nvidiactl", F_OK) == 0 ? "nvidia" : "cpu";
  DriverChoice choice;
  if (driver == "nvidia") {
    choice = {"libcuda.so.1", link::SandboxProfile::Nvidia};
  } else if (driver == "cpu") {
    choice = {installation.hostLibraryDirectory + "/libvgpu-cpu-driver.so", link::SandboxProfile::Cpu};
  } else {
    // Somebody else's libcuda: what it needs is unknown, so it gets the wider profile unless the name is
    // ours.
    const bool ours = driver.find("vgpu") != std::string::npos;
    choice = {driver, ours ? link::SandboxProfile::Cpu : link::SandboxProfile::Nvidia};
  }
  if (configuration.sandbox == "cpu") choice.sandbox = link::SandboxProfile::Cpu;
  if (configuration.sandbox == "nvidia") choice.sandbox = link::SandboxProfile::Nvidia;
  if (configuration.sandbox == "off") choice.sandbox = link::SandboxProfile::Off;
  return choice;
}

UniqueFd openTenantCache(const Configuration& configuration, const std::string& tenant) {
  if (configuration.cacheDirectory.empty() || configuration.cacheBytes == 0) return UniqueFd();
  std::error_code failed;
  const files::path folder = files::path(configuration.cacheDirectory) / tenant;
  files::create_directories(configuration.cacheDirectory, failed);
  // Readable by nobody else: compiled kernels tell what a tenant computes.
  ::mkdir(folder.c_str(), 0700);
  UniqueFd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (directory.valid() && (::fstat(directory.get(), &status) < 0 || status.st_uid != ::geteuid())) {
    log::warning("the cache folder belongs to somebody else and is not used", {{"path", folder.string()}});
    return UniqueFd();
  }
  if (!directory.valid()) {
    log::info("no cache for compiled kernels", {{"reason", errnoError("open " + folder.string()).message()}});
  }
  return directory;
}

Result<ExecutorProcess> launchExecutor(const Configuration& configuration, const Installation& installation,
                                       const Placement& placement) {
  const DriverChoice driver = chooseDriver(configuration, installation);
  const UniqueFd cache = openTenantCache(configuration, placement.tenant);
  link::ExecutorArguments arguments;
  std::shared_ptr<const VgpuLease> lease;
  if (placement.vgpu) {
    lease = VgpuLease::take(placement.vgpu);
    if (!lease)
      return Error{"start an executor", "vGPU " + placement.vgpu->slice().name + " has its most sessions"};
    arguments.hasMemoryLedger = true;
    arguments.ledgerPlace = lease->place();
    arguments.gpu = std::to_string(placement.vgpu->slice().gpu);
  }
  arguments.driverLibrary = driver.library;
  arguments.sandbox = driver.sandbox;
  arguments.readablePaths = configuration.readablePaths;
  if (driver.library.starts_with('/')) {
    arguments.readablePaths.push_back(files::path(driver.library).parent_path());
    std::error_code failed;  // and where a link of that name leads
    const files::path real = files::canonical(driver.library, failed);
    if (!failed) arguments.readablePaths.push_back(real.parent_path());
  }
  arguments.limits = configuration.limits;
  arguments.deviceMemoryBytes = configuration.deviceMemoryBytes;
  arguments.workers = configuration.workers;
  arguments.cacheBytes = cache.valid() ? configuration.cacheBytes : 0;
  arguments.hasCacheDirectory = cache.valid();
  arguments.strict = configuration.strict;
  arguments.logLevel = configuration.logLevel;
  arguments.logFormat = configuration.logFormat;
  const std::string program = configuration.executorProgram.empty()
                                  ? installation.programDirectory + "/vgpu-executor"
                                  : configuration.executorProgram;
  return ExecutorProcess::start(program, arguments, cache, std::move(lease));
}

}  // namespace vgpu::daemon
