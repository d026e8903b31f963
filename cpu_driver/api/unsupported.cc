// The entries that this driver does not have. They are exported, because programs link against them, and
// answer CUDA_ERROR_NOT_SUPPORTED; each is named once in the log when it is first called.
#include <atomic>
#include <tuple>

#include "base/log.h"
#include "cpu_driver/runtime/driver.h"
#include "protocol/abi/cuda.h"

namespace {

CUresult refuse(const char* name, std::atomic<bool>& told) {
  if (!told.exchange(true)) vgpu::log::warning("cpu driver: call not supported", {{"call", name}});
  return vgpu::cpu::initialised() ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_NOT_INITIALIZED;
}

}  // namespace

extern "C" {

#define UNSUPPORTED(symbol, ...)          \
  CUresult symbol(__VA_ARGS__) {          \
    static std::atomic<bool> told{false}; \
    return refuse(#symbol, told);         \
  }
#include "cpu_driver/api/unsupported.inc"
#undef UNSUPPORTED

}  // extern "C"
