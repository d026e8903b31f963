// What a program's file says of itself: only as much of ELF as `vgpuctl doctor` must know. Any thread. The
// file is whatever the user names, so every offset is checked against its size.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace vgpu::vgpuctl {

struct ElfProgram {
  bool isElf = false;  // else a script, or something else
  bool is64Bit = false;
  bool isX86 = false;
  std::string interpreter;             // of PT_INTERP; empty: statically linked
  std::vector<std::string> libraries;  // DT_NEEDED
  bool hasSymbols = false;             // .symtab
  bool hasDeviceCode = false;          // .nv_fatbin
  bool hasStaticRuntime = false;       // cudaLaunchKernel or its like is defined in .symtab
};

Result<ElfProgram> readElfProgram(const std::string& path);

}  // namespace vgpu::vgpuctl
