// The options of cuModuleLoadDataEx, cuLibraryLoadData and cuLink*: mostly buffers for what the compiler
// says. Used in the calling thread; the buffers are the caller's, as large as the options say.
#pragma once

#include <string>
#include <string_view>

#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

class JitOptions {
 public:
  // Keeps `values`, to write back how much of the buffers was used.
  JitOptions(unsigned count, CUjit_option* options, void** values);

  // CUDA_ERROR_INVALID_VALUE for an option that is none.
  CUresult check() const;
  void writeInfo(std::string_view text);
  void writeError(std::string_view text);

 private:
  struct Buffer {
    char* begin = nullptr;
    size_t sizeBytes = 0;
    void** used = nullptr;
  };
  static void write(Buffer& buffer, std::string_view text);

  Buffer info_, error_;
  CUresult valid_ = CUDA_SUCCESS;
};

}  // namespace vgpu::cpu
