// Occupancy, remembered: programs ask before every launch of a kernel, and the answer does not change. Any
// thread.
#pragma once

#include "shim/session/submit.h"

namespace vgpu::shim {

CUresult activeBlocks(const Submission& submission, Function& function, int threads, size_t sharedBytes,
                      unsigned flags, int& blocks);
// What was remembered of a function whose attributes change is forgotten.
void forgetOccupancy(const Function& function);

}  // namespace vgpu::shim
