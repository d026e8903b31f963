// Where things are: the installation that this vgpuctl is a part of, and the folder of this user's own
// mediator. Main thread. Folders below /tmp are shared with other users: one that somebody else made is
// refused.
#pragma once

#include <string>

#include "base/result.h"

namespace vgpu::vgpuctl {

struct Installation {
  std::string programs;        // bin: vgpuctl, vgpu-mediator, vgpu-executor
  std::string internal;        // libexec/vgpu: what only vgpuctl starts
  std::string guestLibraries;  // lib*/vgpu: libcuda.so.1, libcudart.so.12, ...
  std::string hostLibraries;   // lib*/vgpu-host: the CPU driver

  std::string mediator() const { return programs + "/vgpu-mediator"; }
  std::string executor() const { return programs + "/vgpu-executor"; }
  std::string cpuDriver() const { return hostLibraries + "/libvgpu-cpu-driver.so"; }
  std::string auditor() const { return guestLibraries + "/libvgpu-audit.so"; }

  static Result<Installation> ofThisProgram();
};

// Longest path of a unix socket that the kernel takes, with its terminating zero: sockaddr_un.
inline constexpr size_t kLongestSocketPath = 107;

struct RuntimeFolder {
  std::string path;

  std::string socket() const { return path + "/mediator.sock"; }
  std::string presence() const { return socket() + ".presence"; }
  std::string control() const { return path + "/control.sock"; }
  std::string log() const { return path + "/mediator.log"; }
  std::string lock() const { return path + "/start.lock"; }
};

// This user's folder: $XDG_RUNTIME_DIR/vgpu, or /tmp/vgpu-<uid>. Made with mode 0700 where `make` says so.
Result<RuntimeFolder> userRuntimeFolder(bool make);
// The system daemon's.
RuntimeFolder systemRuntimeFolder();
// $XDG_CACHE_HOME/vgpu/compiled or ~/.cache/vgpu/compiled; empty where there is no home.
std::string userCacheFolder();
// $XDG_CONFIG_HOME/vgpu/mediator.yaml or ~/.config/vgpu/mediator.yaml if there is one, else empty.
std::string userConfigurationFile();

}  // namespace vgpu::vgpuctl
