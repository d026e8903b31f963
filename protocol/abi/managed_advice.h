// What a program advised about an allocation of managed memory, and where it last had it prefetched: nothing
// but answers to cuMemRangeGetAttribute depends on it, in the guest and in the CPU driver alike. Any thread.
#pragma once

#include <atomic>

#include "protocol/abi/cuda.h"

namespace vgpu::protocol {

class ManagedAdvice {
 public:
  // A device's number as the calls without CUmemLocation name places.
  static CUmemLocation locationOf(CUdevice device);

  // INVALID_VALUE for unknown advice, INVALID_DEVICE for a place that is none.
  CUresult advise(CUmem_advise what, CUmemLocation location, int deviceCount);
  CUresult prefetched(CUmemLocation location, int deviceCount);
  CUresult attribute(CUmem_range_attribute attribute, void* data, size_t dataBytes) const;

 private:
  void fillAccessedBy(int* numbers, size_t count) const;

  std::atomic<bool> readMostly_{false};
  std::atomic<bool> accessedByDevice_{false}, accessedByHost_{false};
  std::atomic<CUmemLocation> preferred_{CUmemLocation{CU_MEM_LOCATION_TYPE_INVALID, 0}};
  std::atomic<CUmemLocation> prefetched_{CUmemLocation{CU_MEM_LOCATION_TYPE_INVALID, 0}};
};

}  // namespace vgpu::protocol
