// `vgpuctl doctor [program]`: looks at the installation, the system, the mediator and a program, and says in
// plain words what would keep a CUDA program from running, with the remedy. Changes nothing and starts
// nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "vgpuctl/installation.h"

namespace vgpu::vgpuctl {

struct Finding {
  enum class Kind { Good, Note, Problem };
  Kind kind;
  std::string text;
};
using Findings = std::vector<Finding>;

Findings examineInstallation(const Installation& installation);
Findings examineSystem(const std::string& root = "");   // `root` stands before absolute paths, for tests
Findings examineMediator(const std::string& endpoint);  // empty: what `vgpuctl run` would use
Findings examineProgram(const std::string& name);

// Prints all of it; 0 without a problem, else 1.
int doctor(std::span<char* const> words);

}  // namespace vgpu::vgpuctl
