#include "shim/cudart/notice.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace vgpu::cudart {
namespace {

// More names than the runtime has calls to refuse and driver entries to miss.
constinit std::array<std::atomic<const char*>, 1024> noticed{};

bool firstTime(const char* name) {
  for (auto& slot : noticed) {
    const char* known = nullptr;
    if (slot.compare_exchange_strong(known, name)) return true;
    if (known == name) return false;
  }
  return false;
}

}  // namespace

void noticeOnce(const char* name, const char* reason) {
  const char* level = std::getenv("VGPU_LOG");
  if (level != nullptr && std::string_view(level) == "off") return;
  if (!firstTime(name)) return;
  std::array<char, 256> line{};
  int length = std::snprintf(line.data(), line.size(), "vgpu: %s is not supported: %s\n", name, reason);
  if (length > 0) {
    // One write a line, so that lines of several threads do not mix. A closed stderr is no reason to fail.
    [[maybe_unused]] ssize_t written = write(STDERR_FILENO, line.data(), static_cast<size_t>(length));
  }
}

}  // namespace vgpu::cudart
