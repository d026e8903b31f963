// Redirects the functions of a static runtime: each entry becomes a jump to a trampoline near the module, and
// that one jumps through a slot. The slots are filled with our libcudart's functions when the first of them
// is called, which is when the module's constructors register its kernels: only then may the dynamic linker
// be called again. Runs when the object has been mapped and nothing of it has run. What it allocates lives as
// long as the process, because a destructor may still come through it.
#pragma once

#include <link.h>

#include "shim/audit/static_runtime.h"

namespace vgpu::audit {

// Answers false, with nothing changed, where some function cannot be patched or no memory near the module is
// to be had.
bool redirect(const link_map* map, const StaticRuntime& runtime);

}  // namespace vgpu::audit
