// Functions of the audited program's own C library. The auditor lives in a namespace of its own, and what it
// loads for the program must be loaded by the program's libc into the program's namespace.
#pragma once

#include <link.h>

namespace vgpu::audit {

// Told of every object of the program's namespace; remembers libc and, before glibc 2.34, libdl.
void noteObject(const link_map* map);

// Loads a library into the program's namespace; null, with `reason` set, where it cannot be.
void* loadForProgram(const char* path, const char** reason);
void* symbolOf(void* library, const char* name);

}  // namespace vgpu::audit
