#include "cpu_driver/runtime/configuration.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <thread>

#include "base/log.h"

namespace vgpu::cpu {
namespace {

constexpr size_t kGiB = size_t{1} << 30;
constexpr size_t kLeastMemoryBytes = size_t{64} << 20;
constexpr unsigned kMostWorkers = 1024;

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

void refuse(const char* name, const char* value) {
  log::warning("cpu driver: environment variable ignored", {{"name", name}, {"value", value}});
}

// Three quarters of the machine, because device memory is the machine's memory and the program needs some
// too.
size_t defaultMemoryBytes() {
  const size_t pages = static_cast<size_t>(std::max(0l, ::sysconf(_SC_PHYS_PAGES)));
  const size_t ram = pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return std::clamp(ram / 4 * 3, kLeastMemoryBytes, 80 * kGiB) & ~(size_t{2} * 1024 * 1024 - 1);
}

size_t memoryBytes() {
  const char* value = variable("VGPU_CPU_MEMORY");
  if (!value) return defaultMemoryBytes();
  const auto bytes = parseBytes(value);
  if (bytes && *bytes >= kLeastMemoryBytes) return *bytes & ~size_t{4095};
  refuse("VGPU_CPU_MEMORY", value);
  return defaultMemoryBytes();
}

unsigned count(const char* name, unsigned fallback) {
  const char* value = variable(name);
  if (!value) return fallback;
  const auto number = parseBytes(value);
  if (number && *number >= 1 && *number <= kMostWorkers) return static_cast<unsigned>(*number);
  refuse(name, value);
  return fallback;
}

kernel::Form form() {
  const char* value = variable("VGPU_CPU_FORM");
  if (!value) return kernel::Form::Auto;
  const std::string_view name = value;
  if (name == "loops") return kernel::Form::Loops;
  if (name == "fibers") return kernel::Form::Fibers;
  if (name != "auto") refuse("VGPU_CPU_FORM", value);
  return kernel::Form::Auto;
}

std::string cacheDirectory() {
  if (const char* value = std::getenv("VGPU_CPU_CACHE")) return value;
  if (const char* cache = variable("XDG_CACHE_HOME")) return std::string(cache) + "/vgpu/kernels";
  if (const char* home = variable("HOME")) return std::string(home) + "/.cache/vgpu/kernels";
  return {};
}

Configuration read() {
  Configuration configuration;
  configuration.deviceMemoryBytes = memoryBytes();
  configuration.workers = count("VGPU_CPU_WORKERS", std::max(1u, std::thread::hardware_concurrency()));
  configuration.multiprocessors = count("VGPU_CPU_MULTIPROCESSORS", configuration.workers);
  configuration.form = form();
  const char* exact = variable("VGPU_CPU_EXACT_CHECKS");
  configuration.exactChecks = exact && std::string_view(exact) != "0";
  configuration.cacheDirectory = cacheDirectory();
  return configuration;
}

}  // namespace

std::optional<size_t> parseBytes(std::string_view text) {
  size_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest == text.data()) return std::nullopt;
  const std::string_view suffix(rest, static_cast<size_t>(text.data() + text.size() - rest));
  unsigned shift = 0;
  if (suffix == "K") shift = 10;
  if (suffix == "M") shift = 20;
  if (suffix == "G") shift = 30;
  if (!suffix.empty() && shift == 0) return std::nullopt;
  if (number > SIZE_MAX >> shift) return std::nullopt;
  return number << shift;
}

const Configuration& configuration() {
  static const Configuration kConfiguration = read();
  return kConfiguration;
}

}  // namespace vgpu::cpu
