#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace vgpu {

Error errnoError(std::string operation) {
  const int code = errno;
  return Error{std::move(operation), strerrordesc_np(code) ? strerrordesc_np(code) : "unknown error", code};
}

}  // namespace vgpu
