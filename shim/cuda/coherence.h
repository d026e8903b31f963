// Host memory that the carrier does not share (registered memory always; pinned and managed memory on byte
// streams) exists twice. The two copies are made equal at CUDA's synchronisation points: what the program
// changed goes to the device before each launch, what the device changed comes back when a wait has ended.
// Changes are found by comparing with a twin: the last bytes on which both sides agreed. (Write-protection
// would make system calls into the memory fail.) Any thread.
#pragma once

#include <atomic>
#include <memory>

#include "shim/session/submit.h"

namespace vgpu::shim {

struct Coherence;

// How much such memory there is. Read on the way of every launch: without it the functions below cost a load.
extern constinit std::atomic<size_t> allocationsThatExistTwice;

// Starts keeping the allocation's two sides equal.
std::shared_ptr<Coherence> makeCoherence(const Allocation& allocation);
void dropCoherence(const Allocation& allocation);

// Sends what the program changed. Called before anything that lets the device read.
CUresult pushAllToDevice(const Submission& submission);
inline CUresult pushToDevice(const Submission& submission) {
  return allocationsThatExistTwice.load(std::memory_order_acquire) ? pushAllToDevice(submission)
                                                                   : CUDA_SUCCESS;
}
// The same for one range of one allocation, named by its host address.
CUresult pushRange(const Submission& submission, const Allocation& allocation, uint64_t host,
                   uint64_t sizeBytes);
// The device's bytes are newer than the program's: the next wait has to look.
void deviceHasWritten(const Allocation& allocation);
// What was posted last in the stream writes into the allocation, or, a kernel, into whatever it likes: waits
// have to look until one has seen it retired.
void deviceWillWrite(const Allocation& allocation, Stream& stream);
void deviceWillWriteInAny(Stream& stream);
inline void deviceWillWriteAnywhere(Stream& stream) {
  if (allocationsThatExistTwice.load(std::memory_order_acquire)) deviceWillWriteInAny(stream);
}
// Fetches what the device changed. Called when a wait has ended.
void pullFromDevice(const Submission& submission);

// Gives a page-locked or managed block back, its memory included.
CUresult freeHostVisible(const Submission& submission, const Allocation& allocation);

}  // namespace vgpu::shim
