// The functions that a static runtime is redirected at: exactly those that our libcudart of that version
// exports, from the same table. Built at compile time; the index of a name is its row. Any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace vgpu::audit {

inline constexpr size_t kNoRow = ~size_t{0};

enum class Versions : uint8_t { Both, Only12, Only13 };

// The row of a name, or kNoRow.
size_t findRow(const char* name);

const char* rowName(size_t row);
bool rowIn(size_t row, int version);

inline constexpr size_t kRowCount = 0
#define RUNTIME(name, versions) +1
#define REFUSED(name, versions, reason) +1
#include "shim/cudart/calls.inc"
    ;

}  // namespace vgpu::audit
