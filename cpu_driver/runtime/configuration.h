// What the environment says about the virtual device; read once, when the driver is initialised.
// The variables belong to whoever starts the process (the user, or the mediator for its executor); a value
// that cannot be read is named in one log line and its default is used.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cpu_driver/kernel/image.h"

namespace vgpu::cpu {

struct Configuration {
  size_t deviceMemoryBytes = 0;  // VGPU_CPU_MEMORY: bytes, or with suffix K, M or G
  unsigned workers = 1;          // VGPU_CPU_WORKERS: threads that run blocks
  unsigned multiprocessors = 1;  // VGPU_CPU_MULTIPROCESSORS: what the device claims; workers by default
  kernel::Form form = kernel::Form::Auto;  // VGPU_CPU_FORM: auto, loops, fibers
  bool exactChecks = false;    // VGPU_CPU_EXACT_CHECKS=1: every access of a kernel is checked to the byte
  std::string cacheDirectory;  // VGPU_CPU_CACHE: empty turns the cache off
};

const Configuration& configuration();

// "64M" as bytes; nothing where the text is no such number.
std::optional<size_t> parseBytes(std::string_view text);

}  // namespace vgpu::cpu
