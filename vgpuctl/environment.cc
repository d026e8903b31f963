#include "vgpuctl/environment.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace vgpu::vgpuctl {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::string prepended(const std::string& first, const std::string& list) {
  // An empty entry would mean the current folder.
  if (list.empty() || list == first) return first;
  if (list.starts_with(first + ":")) return list;
  return first + ":" + list;
}

std::string auditorPattern(const Installation& installation) {
  return installation.guestLibraries + "/audit/$PLATFORM/libvgpu-audit.so";
}

void prepareEnvironment(const Installation& installation, const std::string& endpoint, bool strict) {
  ::setenv("LD_LIBRARY_PATH", prepended(installation.guestLibraries, variable("LD_LIBRARY_PATH")).c_str(), 1);
  // Without the file ld.so would complain in every child; `vgpuctl doctor` names what is missing.
  if (::access(installation.auditor().c_str(), R_OK) == 0) {
    ::setenv("LD_AUDIT", prepended(auditorPattern(installation), variable("LD_AUDIT")).c_str(), 1);
  }
  ::setenv("VGPU_ENDPOINT", endpoint.c_str(), 1);
  if (strict) ::setenv("VGPU_STRICT", "1", 1);
}

}  // namespace vgpu::vgpuctl
