// Formats device printf: vprintf's format and packed argument buffer, as compute devices lay it out.
// Worker threads, on a kernel's small stack. Format and arguments are the kernel's: a wild string faults in
// here, and the fault ends the kernel, so no lock is held while they are read.
#pragma once

#include <string>

namespace vgpu::cpu {

// Appends the text; the number of arguments that it used, or -1 for a format that cannot be read.
int formatDevicePrintf(const char* format, const void* arguments, std::string* text);

}  // namespace vgpu::cpu
