// From an ELF object to a kernel image: sections laid out, relocations resolved, imports by number. Compile
// thread. The object was made by our own code generator; anything in it that the image cannot hold is an
// error by name.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "cpu_driver/kernel/image.h"

namespace vgpu::jit {

// `header` has form, flags, sizes and dims; offsets are filled in. `entry` is the entry's symbol.
Result<std::vector<std::byte>> flatten(std::span<const char> object, const char* entry,
                                       kernel::ImageHeader header);

}  // namespace vgpu::jit
