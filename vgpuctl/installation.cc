#include "vgpuctl/installation.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace vgpu::vgpuctl {
namespace {

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Only absolute paths count, as the XDG base directory specification says.
std::string fromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value == '/' ? value : "";
}

std::string underHome(const char* variable, const char* folder) {
  std::string named = fromEnvironment(variable);
  if (!named.empty()) return named;
  const std::string home = fromEnvironment("HOME");
  return home.empty() ? "" : home + folder;
}

// A link or a folder of somebody else could lead us to talk to a mediator of theirs.
Status checkPrivate(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) < 0) return errnoError("look at " + path);
  if (!S_ISDIR(status.st_mode)) return Error{path, "is no folder; remove it"};
  if (status.st_uid != ::geteuid())
    return Error{path, "belongs to another user; set XDG_RUNTIME_DIR to a folder of yours"};
  if ((status.st_mode & 077) != 0) return Error{path, "is open to other users; chmod 700 it"};
  return success();
}

}  // namespace

Result<Installation> Installation::ofThisProgram() {
  char program[4096];
  const ssize_t length = ::readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) return errnoError("find this program's folder");
  program[length] = '\0';
  Installation installation;
  installation.programs = parent(program);
  // The control program lies two levels below the prefix, the others one.
  if (installation.programs.ends_with("/libexec/vgpu")) {
    installation.programs = parent(parent(installation.programs)) + "/bin";
  }
  const std::string prefix = parent(installation.programs);
  installation.internal = prefix + "/libexec/vgpu";
  std::string libraries = prefix + "/lib";
  for (const char* folder : {"/lib", "/lib64", "/lib/x86_64-linux-gnu"}) {
    if (exists(prefix + folder + "/vgpu")) {
      libraries = prefix + folder;
      break;
    }
  }
  installation.guestLibraries = libraries + "/vgpu";
  installation.hostLibraries = libraries + "/vgpu-host";
  return installation;
}

Result<RuntimeFolder> userRuntimeFolder(bool make) {
  const std::string base = fromEnvironment("XDG_RUNTIME_DIR");
  RuntimeFolder folder{base + "/vgpu"};
  if (base.empty() || !exists(base) || folder.presence().size() > kLongestSocketPath) {
    folder.path = "/tmp/vgpu-" + std::to_string(::geteuid());
  }
  if (make && ::mkdir(folder.path.c_str(), 0700) < 0 && errno != EEXIST)
    return errnoError("make " + folder.path);
  if (Status status = checkPrivate(folder.path); !status) return status.error();
  return folder;
}

RuntimeFolder systemRuntimeFolder() { return {"/run/vgpu"}; }

std::string userCacheFolder() {
  const std::string base = underHome("XDG_CACHE_HOME", "/.cache");
  return base.empty() ? "" : base + "/vgpu/compiled";
}

std::string userConfigurationFile() {
  const std::string base = underHome("XDG_CONFIG_HOME", "/.config");
  const std::string file = base + "/vgpu/mediator.yaml";
  return !base.empty() && exists(file) ? file : "";
}

}  // namespace vgpu::vgpuctl
