// Driver: the table of driver functions that the executor calls, bound by name from a libcuda.so.1. A null
// entry means that this driver lacks the function; rows that need it are not offered to the guest. Filled
// once by the main thread before any guest is there, constant afterwards; read by every thread. Tests fill it
// with functions of their own. Nothing of the guest is in here.
#pragma once

#include <bitset>
#include <cstddef>
#include <string>

#include "base/result.h"
#include "protocol/calls/calls.h"
#include "protocol/marshal/limits.h"

namespace vgpu::executor {

struct Driver {
#define CALL(number, symbol, ...) decltype(&::symbol) symbol = nullptr;
#include "protocol/calls/table.inc"
#define SYMBOL(symbol) decltype(&::symbol) symbol = nullptr;
#include "mediator/executor/driver_symbols.inc"

  // Only the CPU driver has it: who gets what device code prints. Without it the output goes to descriptors 1
  // and 2.
  using Output = void (*)(int fd, const void* text, size_t sizeBytes, void* user);
  void (*vgpuCpuDriverSetOutput)(Output, void* user) = nullptr;
  // Where the processor may write device memory; null: nowhere. Likewise the CPU driver's alone.
  void* (*vgpuCpuDriverHostAddress)(CUdeviceptr address, size_t sizeBytes) = nullptr;
};

// The member of Driver that a forwarded row calls.
template <uint16_t number>
struct DriverFunction;
#define CALL(number, symbol, ...)                    \
  template <>                                        \
  struct DriverFunction<number> {                    \
    static constexpr auto kMember = &Driver::symbol; \
  };
#include "protocol/calls/table.inc"

using BoundRows = std::bitset<protocol::kMaxCalls * 4>;
// The rows that this driver can serve.
BoundRows boundRows(const Driver& driver);

// Loads the library with names of its own (RTLD_LOCAL) and binds what it has. Fails when it cannot be loaded
// or lacks what every session needs.
Result<Driver> loadDriver(const std::string& library);

}  // namespace vgpu::executor
