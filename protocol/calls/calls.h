// The rows of the table as types. Row<number> gives mode, name and, for forwarded calls, the vendor
// function's type (from decltype, so a row whose roles do not match its declaration does not compile).
#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>

#include "protocol/abi/cuda.h"
#include "protocol/calls/messages.h"
#include "protocol/calls/mode.h"
#include "protocol/marshal/roles.h"

namespace vgpu::protocol {

// Stable numbers by name: call::cuMemcpyAsync, call::Launch.
namespace call {
#define CALL(number, symbol, ...) inline constexpr uint16_t symbol = number;
#define MESSAGE(number, name, mode) inline constexpr uint16_t name = number;
#include "protocol/calls/table.inc"
}  // namespace call

template <class Function>
struct Signature;
template <class... Arguments>
struct Signature<CUresult(Arguments...)> {
  using Tuple = std::tuple<Arguments...>;
  static constexpr size_t kArity = sizeof...(Arguments);
};

namespace table {

using namespace roles;  // NOLINT: rows name roles plainly

template <uint16_t number>
struct Row;

#define CALL(number, vendor, mode, ...)                                                                   \
  template <>                                                                                             \
  struct Row<number> {                                                                                    \
    static constexpr uint16_t kNumber = number;                                                           \
    static constexpr Mode kMode = Mode::mode;                                                             \
    static constexpr const char* kName = #vendor;                                                         \
    using VendorFunction = decltype(::vendor);                                                            \
    using Roles = std::tuple<__VA_ARGS__>;                                                                \
    static_assert(std::tuple_size_v<Roles> == Signature<VendorFunction>::kArity, "one role an argument"); \
  };
#define MESSAGE(number, name, mode)             \
  template <>                                   \
  struct Row<number> {                          \
    static constexpr uint16_t kNumber = number; \
    static constexpr Mode kMode = Mode::mode;   \
    static constexpr const char* kName = #name; \
    using Arguments = messages::name;           \
  };
#include "protocol/calls/table.inc"

}  // namespace table

using table::Row;

struct RowInfo {
  uint16_t number;
  Mode mode;
  bool forwarded;  // names a driver's function
  const char* name;
};

inline constexpr RowInfo kRows[] = {
#define CALL(number, symbol, mode, ...) {number, Mode::mode, true, #symbol},
#define MESSAGE(number, name, mode) {number, Mode::mode, false, #name},
#include "protocol/calls/table.inc"
};
inline constexpr size_t kRowCount = std::size(kRows);

}  // namespace vgpu::protocol
