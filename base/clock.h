// Monotonic time, for waiting and for measuring; never for dates.
#pragma once

#include <chrono>

namespace vgpu {

using MonotonicTime = std::chrono::steady_clock::time_point;
inline MonotonicTime now() { return std::chrono::steady_clock::now(); }

}  // namespace vgpu
