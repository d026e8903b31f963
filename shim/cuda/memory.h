// Memory in the guest: what the exported functions share. Any thread.
#pragma once

#include <optional>

#include "shim/session/submit.h"

namespace vgpu::shim {

// Waits for everything posted in the stream or the current context; at once when that is known to be over.
CUresult waitForStream(const Submission& submission, Stream& stream);
CUresult waitForContext(const Submission& submission);

// What every wait that ended well does: memory that the carrier does not share is brought up to date, pools
// give back what exceeds their threshold.
void finishWait(const Submission& submission);

// enterContext for calls that allocate or free: they are unsafe while a stream captures.
CUresult enterAllocating(Submission& submission);

// Device memory at an address of the session's choosing. Alignment 0: the granularity.
CUresult allocateDevice(const Submission& submission, uint64_t sizeBytes, CUdeviceptr* out);

// An address as the executor knows it: host addresses of registered memory are turned into those of their
// shadow.
uint64_t deviceSide(const Allocation& allocation, uint64_t address);
bool onHostSide(const Allocation& allocation, uint64_t address);

}  // namespace vgpu::shim
