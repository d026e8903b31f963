// CHECK: an invariant of our own. It ends the process, because going on would compute with a lie.
// Never for bytes from a peer, and never for what the environment may do.
#pragma once

namespace vgpu {
[[noreturn]] void checkFailed(const char* condition, const char* file, int line);
}

#define CHECK(condition) \
  (__builtin_expect(!!(condition), 1) ? void() : ::vgpu::checkFailed(#condition, __FILE__, __LINE__))
