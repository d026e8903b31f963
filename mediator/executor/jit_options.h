// JIT options as the guest sends them, by value, turned into what the driver takes; and the logs that come
// back. Any thread; the object owns the logs' memory and must live as long as the driver may write there.
#pragma once

#include <memory>
#include <span>

#include "mediator/executor/objects.h"
#include "protocol/calls/messages.h"

namespace vgpu::executor {

// Sizes are the guest's and are cut to kMostLogBytes.
constexpr uint32_t kMostLogBytes = 64 * 1024;
std::unique_ptr<JitArguments> makeJitArguments(const protocol::messages::JitOptions& options);

// What the driver wrote, without the terminating zero.
struct JitLogs {
  std::span<const char> error, info;
};
JitLogs logsOf(const JitArguments& arguments);

}  // namespace vgpu::executor
