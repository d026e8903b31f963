// `vgpuctl run`: finds or starts a mediator, points the program at our libraries and becomes the program. It
// prints nothing of its own unless the program cannot be run at all.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace vgpu::vgpuctl {

struct RunOptions {
  std::string endpoint;  // empty: VGPU_ENDPOINT, else a mediator that is there or is started
  bool strict = false;
  bool help = false;
  std::vector<char*> command;  // the program and its arguments; empty only with `help`
};

Result<RunOptions> parseRunOptions(std::span<char* const> words);

// Returns only when it failed, with the exit code: 125 for a failure of ours, 126 and 127 as a shell.
int run(std::span<char* const> words);

}  // namespace vgpu::vgpuctl
