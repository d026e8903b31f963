#include "cpu_driver/runtime/jit_options.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace vgpu::cpu {

JitOptions::JitOptions(unsigned count, CUjit_option* options, void** values) {
  if (count != 0 && (!options || !values)) {
    valid_ = CUDA_ERROR_INVALID_VALUE;
    return;
  }
  for (unsigned i = 0; i < count; ++i) {
    // Sizes are 32 bits wide, stored in the pointer itself.
    const auto number = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(values[i]));
    switch (options[i]) {
      case CU_JIT_INFO_LOG_BUFFER:
        info_.begin = static_cast<char*>(values[i]);
        break;
      case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
        info_.sizeBytes = number;
        info_.used = &values[i];
        break;
      case CU_JIT_ERROR_LOG_BUFFER:
        error_.begin = static_cast<char*>(values[i]);
        break;
      case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
        error_.sizeBytes = number;
        error_.used = &values[i];
        break;
      default:
        // The others tune code generation for a GPU; any value of them gives the same results.
        if (options[i] < 0 || options[i] >= CU_JIT_NUM_OPTIONS) valid_ = CUDA_ERROR_INVALID_VALUE;
        break;
    }
  }
  write(info_, "");
  write(error_, "");
}

CUresult JitOptions::check() const { return valid_; }
void JitOptions::writeInfo(std::string_view text) { write(info_, text); }
void JitOptions::writeError(std::string_view text) { write(error_, text); }

void JitOptions::write(Buffer& buffer, std::string_view text) {
  size_t used = 0;
  if (buffer.begin && buffer.sizeBytes != 0) {
    used = std::min(text.size(), buffer.sizeBytes - 1);
    std::memcpy(buffer.begin, text.data(), used);
    buffer.begin[used] = '\0';
    if (used != 0) ++used;
  }
  if (buffer.used) *buffer.used = reinterpret_cast<void*>(used);
}

}  // namespace vgpu::cpu
