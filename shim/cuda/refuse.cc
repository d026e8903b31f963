#include "shim/cuda/refuse.h"

#include <set>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "shim/session/shared_state.h"

namespace vgpu::shim {
namespace {

constinit SharedState<std::set<std::pair<std::string_view, std::string_view>>> said;

}  // namespace

CUresult refuse(const char* call, const char* belongsTo) {
  if (said.lock()->emplace(call, belongsTo).second)
    log::warning("a call is not supported", {{"call", call}, {"belongs_to", belongsTo}});
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace vgpu::shim
