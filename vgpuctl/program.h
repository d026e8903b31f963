// Finding the program that a user names, as a shell does. Main thread.
#pragma once

#include <string>

namespace vgpu::vgpuctl {

inline constexpr int kNotFound = 127, kNotExecutable = 126;  // POSIX, shell command language, 2.8.2

struct FoundProgram {
  std::string path;
  int exitCode = 0;    // else kNotFound or kNotExecutable, and
  std::string reason;  // why
};

FoundProgram findProgram(const std::string& name);

}  // namespace vgpu::vgpuctl
