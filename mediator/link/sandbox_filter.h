// The seccomp filters of an executor's two stages (sandbox.h). A later filter only takes away from an earlier
// one.
#pragma once

#include "base/result.h"
#include "mediator/link/executor_arguments.h"

namespace vgpu::link {

// Refuses what neither a driver nor an executor ever does; everything else is still allowed.
Status installDriverFilter(SandboxProfile profile);

// Allows the named calls and nothing else, in all threads of the process.
Status installGuestFilter(SandboxProfile profile);

}  // namespace vgpu::link
