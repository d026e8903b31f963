// Names of the rows, for logs and metric labels, without the vendor's headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vgpu::protocol {

// The row's name, or an empty view for a number that no row has.
std::string_view callName(uint16_t number);

size_t callCount();
uint16_t callNumber(size_t index);  // index < callCount()

// Dense index of a number in the table, for arrays of counters; callCount() for a number that no row has.
size_t callIndex(uint16_t number);

}  // namespace vgpu::protocol
