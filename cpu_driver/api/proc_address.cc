// cuGetProcAddress: the newest form of a name that is not newer than the version asked for.
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

struct Symbol {
  int version;
  void* legacy;
  void* perThread;  // null: the name has no such variant
};

constexpr void* addressOf() { return nullptr; }
template <class Function>
void* addressOf(Function* function) {
  return reinterpret_cast<void*>(function);
}

using Table = std::unordered_map<std::string_view, std::vector<Symbol>>;

// Rows of one name are in ascending order of their versions.
const Table& table() {
  static const auto* kTable = [] {
    auto* made = new Table;
#define SYMBOL(name, symbol, version, perThread) \
  (*made)[#name].push_back({version, addressOf(&symbol), addressOf(perThread)});
#include "protocol/abi/symbol_versions.inc"
#undef SYMBOL
    return made;
  }();
  return *kTable;
}

constexpr cuuint64_t kKnownFlags =
    CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;

CUresult find(const char* name, void** function, int version, cuuint64_t flags,
              CUdriverProcAddressQueryResult* status) {
  if (status) *status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  if (!name || !function || (flags & ~kKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  *function = nullptr;
  const auto found = table().find(name);
  if (found == table().end()) return CUDA_ERROR_NOT_FOUND;
  const Symbol* best = nullptr;
  for (const Symbol& symbol : found->second)
    if (symbol.version <= version) best = &symbol;
  if (!best) {
    if (status) *status = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    return CUDA_ERROR_NOT_FOUND;
  }
  const bool perThread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
  *function = perThread && best->perThread ? best->perThread : best->legacy;
  if (status) *status = CU_GET_PROC_ADDRESS_SUCCESS;
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuGetProcAddress_v2(const char* name, void** function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult* status) {
  return guarded([&] { return find(name, function, version, flags, status); });
}

CUresult cuGetProcAddress(const char* name, void** function, int version, cuuint64_t flags) {
  return guarded([&] { return find(name, function, version, flags, nullptr); });
}

}  // extern "C"
