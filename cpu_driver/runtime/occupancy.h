// How many blocks of a kernel are resident at once, on one multiprocessor (a worker): the smallest of what
// threads, blocks and shared memory of compute capability 9.0 allow, which is what the runners keep resident.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vgpu::cpu {

class KernelCode;

// 0 where a block does not fit at all.
unsigned residentBlocks(KernelCode& code, uint64_t threads, size_t dynamicSharedBytes);
// The largest dynamic shared memory with which `blocks` are resident.
size_t dynamicSharedBytesFor(KernelCode& code, unsigned blocks, uint64_t threads);

}  // namespace vgpu::cpu
