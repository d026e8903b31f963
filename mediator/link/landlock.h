// Landlock rules of an executor: read below these paths, write below the cache, nothing else; no TCP. Applies
// to the calling thread and those that it starts. By raw system calls, because the headers of Debian 12 know
// only its first version. Answers false where the kernel has none; that is no error, the seccomp filter
// stands without it.
#pragma once

#include <span>
#include <string>

#include "base/result.h"

namespace vgpu::link {

Result<bool> restrictFiles(std::span<const std::string> readable, int writableDirectory);

}  // namespace vgpu::link
