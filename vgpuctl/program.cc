#include "vgpuctl/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace vgpu::vgpuctl {
namespace {

// 0, or the errno that executing it would give.
int whyNotExecutable(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) < 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  return ::access(path.c_str(), X_OK) < 0 ? errno : 0;
}

FoundProgram refused(const std::string& name, int code) {
  const bool absent = code == ENOENT || code == ENOTDIR;
  return {name, absent ? kNotFound : kNotExecutable, std::strerror(code)};
}

}  // namespace

FoundProgram findProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    const int code = whyNotExecutable(name);
    return code == 0 ? FoundProgram{name, 0, ""} : refused(name, code);
  }
  const char* variable = std::getenv("PATH");
  std::string_view path = variable != nullptr ? variable : "/bin:/usr/bin";
  int forbidden = 0;
  while (!name.empty()) {
    const size_t colon = path.find(':');
    const std::string_view folder = path.substr(0, colon);
    std::string candidate = folder.empty() ? "." : std::string(folder);
    candidate += '/';
    candidate += name;
    const int code = whyNotExecutable(candidate);
    if (code == 0) return {candidate, 0, ""};
    if (code == EACCES) forbidden = code;
    if (colon == std::string_view::npos) break;
    path.remove_prefix(colon + 1);
  }
  return forbidden != 0 ? refused(name, forbidden) : FoundProgram{name, kNotFound, "command not found"};
}

}  // namespace vgpu::vgpuctl
