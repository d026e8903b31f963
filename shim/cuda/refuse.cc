#include "shim/cuda/refuse.h"

#include <mutex>
#include <set>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace vgpu::shim {

CUresult refuse(const char* call, const char* belongsTo) {
  static auto* mutex = new std::mutex;
  static auto* said = new std::set<std::pair<std::string_view, std::string_view>>;
  std::lock_guard lock(*mutex);
  if (said->emplace(call, belongsTo).second)
    log::warning("a call is not supported", {{"call", call}, {"belongs_to", belongsTo}});
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace vgpu::shim
