// Lookups in what the welcome says of the devices. Any thread.
#pragma once

#include "protocol/abi/cuda.h"
#include "protocol/marshal/hello.h"

namespace vgpu::shim {

// Priorities of streams, as the H100 has them (cuCtxGetStreamPriorityRange): 0 to -5.
constexpr int kGreatestPriority = -5;

// NOT_INITIALIZED without a session, INVALID_DEVICE for an ordinal that is none.
CUresult findDevice(CUdevice device, const protocol::DeviceInfo*& info);
inline int deviceAttribute(const protocol::DeviceInfo& info, CUdevice_attribute attribute) {
  const auto index = static_cast<uint32_t>(attribute);
  return index < protocol::kMaxAttributes ? info.attributes[index] : 0;
}

}  // namespace vgpu::shim
