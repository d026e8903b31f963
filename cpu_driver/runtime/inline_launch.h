// Launches that end sooner than a worker could take them: the thread that calls the launch runs them in the
// call. Only kernels without loops, so that the call takes a moment whatever the tenant's data say, and only
// while nothing is before them in the order of streams (docs/decisions/cpu-driver-streams.md). Any thread.
#pragma once

#include "cpu_driver/runtime/kernel_work.h"

namespace vgpu::cpu {

// Runs the launch if it is one of those; false: it must be queued. Of the request, `code` and `variant` may
// be empty.
bool runInline(Stream& stream, const Function& function, LaunchRequest& request);

}  // namespace vgpu::cpu
