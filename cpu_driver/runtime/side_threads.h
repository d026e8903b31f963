// Threads of the driver beside the workers: one that compiles, one that calls the program's host functions,
// one that does small things later. Each runs its jobs in order, starts with the first and sleeps when it has
// none.
#pragma once

#include <chrono>
#include <functional>

namespace vgpu::cpu {

void runOnCompileThread(std::function<void()> job);
// CUDA calls in the job answer CUDA_ERROR_NOT_PERMITTED.
void runOnHostFunctionThread(std::function<void()> job);
// The job must be short.
void runAfter(std::chrono::microseconds delay, std::function<void()> job);

}  // namespace vgpu::cpu
