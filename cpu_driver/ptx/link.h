// Linking: several modules that refer to each other's functions and variables become one, as text. Runs where
// load() runs. The texts are untrusted; what linking does not look at, load() judges in the result.
#pragma once

#include <span>
#include <string>
#include <variant>

#include "cpu_driver/ptx/module.h"

namespace vgpu::ptx {

// PTX ISA, "Linking Directives": a declaration gives way to the definition in another module, of several
// .weak definitions one stays, and names without a linkage belong to their module. A variable that no module
// defines is an error; a function is one when it is called, because the system defines some (vprintf).
std::variant<std::string, Diagnostic> link(std::span<const std::string> texts);

}  // namespace vgpu::ptx
