// Every bound that both sides of the protocol apply, and the reason for each. A peer that exceeds one is
// ended.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vgpu::protocol {

constexpr size_t kMaxArgumentBytes =
    4032;  // what one record holds beside its header; larger goes as attached data
constexpr size_t kMaxParameterBytes =
    3840;  // kernel parameters carried in a launch record (larger ones are attached data)
constexpr size_t kMaxAttachedParameterBytes =
    32764;  // CUDA's own limit on kernel parameters (programming guide, 12.1 and later)
constexpr size_t kMaxNameBytes = 2048;  // mangled kernel names of template libraries reach 1,500 bytes
constexpr size_t kMaxImageBytes = size_t{1} << 30;  // a module's image; an inference backend has 100 MB
constexpr uint32_t kMaxObjects =
    1u << 20;                           // live handles of one kind a session: bounds the executor's tables
constexpr uint32_t kMaxStreams = 4096;  // retired numbers in the channel
constexpr uint32_t kMaxThreads = 4096;  // thread records in an executor
constexpr uint32_t kMaxContexts = 256;
constexpr uint32_t kMaxAttributes = 256;  // attributes of a device in the welcome
constexpr uint32_t kMaxDevices = 16;
constexpr uint32_t kMaxCalls = 1024;  // rows; sizes the bitmap of the welcome and the statistics page
constexpr uint64_t kSessionRangeBytes = uint64_t{256}
                                        << 30;  // addresses reserved on both sides for one session

}  // namespace vgpu::protocol
