// Finding a mediator, or starting this user's own. Runs in vgpuctl before it becomes the user's program, so
// nothing here may leave a child, a descriptor or a changed signal behind. Two vgpuctl at once start one
// mediator (flock).
#pragma once

#include <string>

#include "base/result.h"
#include "vgpuctl/installation.h"

namespace vgpu::vgpuctl {

struct MediatorAnswer {
  std::string version;
};

// Asks at a presence socket (mediator/daemon/presence.h). A mediator that ends when idle then stays for as
// long as this process lives, whatever program it becomes. The error's code is the errno: ENOENT,
// ECONNREFUSED, EACCES, ...
Result<MediatorAnswer> announcePresence(const std::string& presenceSocket);

// The endpoint of a mediator that is there: the system's, else the user's own, which is started with the CPU
// driver when it is missing.
Result<std::string> ensureMediator(const Installation& installation);

}  // namespace vgpu::vgpuctl
