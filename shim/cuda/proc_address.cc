// cuGetProcAddress: names to entry points, by the CUDA version that the caller was built for.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>

#include "base/log.h"
#include "protocol/abi/cuda.h"
#include "shim/cuda/exported.h"
#include "shim/session/session.h"

namespace {

struct Refused {
  std::string_view symbol;
};
constexpr Refused kRefused[] = {
#define UNSUPPORTED(symbol, reason) {#symbol},
#include "shim/cuda/unsupported.inc"
#undef UNSUPPORTED
};

bool supported(std::string_view symbol) {
  return std::none_of(std::begin(kRefused), std::end(kRefused),
                      [&](const Refused& refused) { return refused.symbol == symbol; });
}

template <class Function>
void* pointer(Function* function) {
  return reinterpret_cast<void*>(function);
}

constexpr void* pointer() { return nullptr; }
#define POINTER_OF(...) pointer(__VA_OPT__(&::__VA_ARGS__))

struct Row {
  std::string_view name, symbol;
  int since;
  void* function;
  void* perThread;
};
const Row* rows(size_t& count) {
  static const Row kRows[] = {
#define SYMBOL(name, symbol, since, variant) {#name, #symbol, since, pointer(&::symbol), POINTER_OF(variant)},
#include "protocol/abi/symbol_versions.inc"
#undef SYMBOL
  };
  count = std::size(kRows);
  return kRows;
}

// The newest version of `name` not newer than `version`.
const Row* find(std::string_view name, int version, bool& known) {
  size_t count;
  const Row* all = rows(count);
  const Row* best = nullptr;
  for (const Row* row = all; row != all + count; ++row) {
    if (row->name != name || !supported(row->symbol)) continue;
    known = true;
    if (row->since <= version && (!best || row->since > best->since)) best = row;
  }
  return best;
}

CUresult getProcAddress(const char* name, void** function, int version, cuuint64_t flags,
                        CUdriverProcAddressQueryResult* result) {
  constexpr cuuint64_t kFlags =
      CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
  if (!name || !function || flags & ~kFlags) return CUDA_ERROR_INVALID_VALUE;
  *function = nullptr;
  bool known = false;
  const Row* row = find(name, version, known);
  if (result)
    *result = row     ? CU_GET_PROC_ADDRESS_SUCCESS
              : known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                      : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  if (!row) return result ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
  const bool perThread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM && row->perThread;
  *function = perThread ? row->perThread : row->function;
  return CUDA_SUCCESS;
}

}  // namespace

VGPU_EXPORT CUresult cuGetProcAddress(const char* name, void** function, int version, cuuint64_t flags) {
  return getProcAddress(name, function, version, flags, nullptr);
}

VGPU_EXPORT CUresult cuGetProcAddress_v2(const char* name, void** function, int version, cuuint64_t flags,
                                         CUdriverProcAddressQueryResult* result) {
  return getProcAddress(name, function, version, flags, result);
}

// The private tables that NVIDIA's runtime asks its driver for are not imitated. A program that gets here has
// that runtime linked in, in a form that could not be redirected to ours.
VGPU_EXPORT CUresult cuGetExportTable(const void** table, const CUuuid*) {
  static std::atomic<bool> told{false};  // it asks for several tables
  if (table) *table = nullptr;
  if (!told.exchange(true)) {
    vgpu::log::error(
        "this program has NVIDIA's CUDA runtime linked in and stripped; link it with -cudart shared, or keep "
        "its symbol table");
  }
  return CUDA_ERROR_NOT_SUPPORTED;
}
