#include "mediator/executor/jit_options.h"

#include <algorithm>
#include <cstring>

namespace vgpu::executor {
namespace {

constexpr uint32_t kNotGiven = ~uint32_t{0};

void add(JitArguments& arguments, CUjit_option option, void* value) {
  arguments.options.push_back(option);
  arguments.values.push_back(value);
}
void addNumber(JitArguments& arguments, CUjit_option option, uint32_t value) {
  if (value != kNotGiven) add(arguments, option, reinterpret_cast<void*>(uintptr_t{value}));
}
void addLog(JitArguments& arguments, CUjit_option buffer, CUjit_option size, std::vector<char>& log,
            uint32_t sizeBytes) {
  const uint32_t bounded = std::min(sizeBytes, kMostLogBytes);
  if (bounded == 0) return;
  log.assign(bounded, 0);
  add(arguments, buffer, log.data());
  add(arguments, size, reinterpret_cast<void*>(uintptr_t{bounded}));
}

std::span<const char> textOf(const std::vector<char>& log) {
  return {log.data(), log.empty() ? 0 : ::strnlen(log.data(), log.size())};
}

}  // namespace

std::unique_ptr<JitArguments> makeJitArguments(const protocol::messages::JitOptions& options) {
  auto arguments = std::make_unique<JitArguments>();
  addNumber(*arguments, CU_JIT_MAX_REGISTERS, options.maxRegisters);
  addNumber(*arguments, CU_JIT_THREADS_PER_BLOCK, options.threadsPerBlock);
  addNumber(*arguments, CU_JIT_OPTIMIZATION_LEVEL, options.optimizationLevel);
  addNumber(*arguments, CU_JIT_TARGET, options.target);
  addNumber(*arguments, CU_JIT_GENERATE_DEBUG_INFO, options.generateDebugInfo);
  addNumber(*arguments, CU_JIT_GENERATE_LINE_INFO, options.generateLineInfo);
  addNumber(*arguments, CU_JIT_LOG_VERBOSE, options.logVerbose);
  addNumber(*arguments, CU_JIT_FALLBACK_STRATEGY, options.fallback);
  addLog(*arguments, CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, arguments->errorLog,
         options.errorLogBytes);
  addLog(*arguments, CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, arguments->infoLog,
         options.infoLogBytes);
  return arguments;
}

JitLogs logsOf(const JitArguments& arguments) {
  return {textOf(arguments.errorLog), textOf(arguments.infoLog)};
}

}  // namespace vgpu::executor
