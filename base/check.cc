#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace vgpu {

void checkFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "vgpu: invariant broken: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace vgpu
