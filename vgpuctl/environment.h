// What a program's environment needs so that it finds our libraries: LD_LIBRARY_PATH, LD_AUDIT,
// VGPU_ENDPOINT. Its children inherit it, and must not notice where they have nothing to do with CUDA. Main
// thread.
#pragma once

#include <string>

#include "vgpuctl/installation.h"

namespace vgpu::vgpuctl {

// `first` before what is in `list` (colons between), once.
std::string prepended(const std::string& first, const std::string& list);

// The auditor's path with ld.so's $PLATFORM in it: a 32-bit child finds one for its own kind there, which
// declines, where the plain path would make its ld.so complain on stderr.
std::string auditorPattern(const Installation& installation);

void prepareEnvironment(const Installation& installation, const std::string& endpoint, bool strict);

}  // namespace vgpu::vgpuctl
