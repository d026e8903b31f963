// Finds NVIDIA's runtime inside a module that has it linked in, by the module's own symbol table, which lies
// in its file and is not loaded. The file is the user's own program or library, and is checked like any input
// nevertheless: every offset against the file's size.
#pragma once

#include "shim/audit/names.h"
#include "shim/audit/system.h"

namespace vgpu::audit {

struct Function {
  uint64_t address;  // as the file says, before the module's base is added
  uint32_t room;     // bytes to the next symbol
  uint16_t row;
};

struct StaticRuntime {
  int version = 0;  // 12 or 13; 0: none here, or none that we have a counterpart of
  size_t count = 0;
  Function functions[kRowCount];
};

// Fills `runtime` with the functions to redirect, in order of address. Answers false where there are none.
bool findStaticRuntime(const MappedFile& file, StaticRuntime* runtime);

}  // namespace vgpu::audit
