// cuLink*: several PTX inputs become one PTX text, which is the "cubin" that the link hands out and the
// module loader takes. Machine code, archives and intermediate forms are refused by name. Used by one thread
// at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cpu_driver/runtime/jit_options.h"
#include "cpu_driver/runtime/module_code.h"

namespace vgpu::cpu {

class LinkState {
 public:
  explicit LinkState(JitOptions options) : options_(options) {}

  CUresult add(CUjitInputType type, std::string_view bytes, const char* name);
  CUresult addFile(CUjitInputType type, const char* path);
  // The text, zero-terminated, stays the state's.
  CUresult complete(void** image, size_t* sizeBytes);

 private:
  CUresult fail(CUresult code, const std::string& reason);

  JitOptions options_;
  std::vector<std::string> inputs_;
  std::string linked_;
};

}  // namespace vgpu::cpu
