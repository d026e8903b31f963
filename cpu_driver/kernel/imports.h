// The functions of the driver that generated code may call, by name for the compiler and by number in an
// image. The order is part of the ABI: append, or change kAbiVersion. Any thread; owns nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace vgpu::kernel {

std::optional<uint32_t> importNumber(std::string_view name);
const void* importAddress(uint32_t number);
uint32_t importCount();

// Whether the address lies in a library function that generated code calls for itself (memcpy and its like):
// a fault there is a fault of the kernel.
bool inGeneratedLibrary(uintptr_t address);

}  // namespace vgpu::kernel
