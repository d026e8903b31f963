// Stream-ordered allocation: what the rest of the guest needs of it. Any thread.
#pragma once

#include "shim/session/submit.h"

namespace vgpu::shim {

// Gives free blocks of the pools back, down to each pool's release threshold: what CUDA does at
// synchronisation.
void trimPoolsToThreshold(const Submission& submission);
// Gives back all free blocks but `keepBytes` a pool; true when any went.
bool trimPools(const Submission& submission, uint64_t keepBytes);
// cuMemFree of memory that came from a pool.
CUresult freePooledNow(const Submission& submission, const Allocation& allocation);

}  // namespace vgpu::shim
