// The guest's threads that serve the executor's events: one writes device output and hands host functions on,
// the other runs them (CUDA lets a host function take its time, and output must not wait for it).
#pragma once

#include <cstdint>
#include <functional>

#include "protocol/abi/cuda.h"

namespace vgpu::shim {

class Session;

// Started once a session is connected.
void startEventThread(Session& session);

// Waits until the events that the executor had announced by now were handled, so that device output appears
// before the call that waited for the kernel returns. Free when there were none.
void settleEvents(Session& session);

// Remembers what is to be run on the thread of host functions when the stream reaches it, under a token.
uint64_t registerHostFunction(std::function<void()> function);
void forgetHostFunction(uint64_t token);

// Runs a function of the program on the thread of host functions: until it returns, CUDA's API is forbidden
// there.
void runForProgram(const std::function<void()>& function);

}  // namespace vgpu::shim
