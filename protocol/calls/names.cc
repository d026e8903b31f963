#include "protocol/calls/names.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "protocol/calls/calls.h"

namespace vgpu::protocol {
namespace {

constexpr size_t kNumbers = 0x1000;

constexpr std::array<uint16_t, kNumbers> makeIndex() {
  std::array<uint16_t, kNumbers> index{};
  index.fill(kRowCount);
  for (size_t row = 0; row < kRowCount; ++row) index[kRows[row].number] = static_cast<uint16_t>(row);
  return index;
}
constexpr auto kIndex = makeIndex();

}  // namespace

size_t callIndex(uint16_t number) { return number < kNumbers ? kIndex[number] : kRowCount; }
size_t callCount() { return kRowCount; }
uint16_t callNumber(size_t index) { return kRows[index].number; }

std::string_view callName(uint16_t number) {
  const size_t index = callIndex(number);
  return index < kRowCount ? kRows[index].name : std::string_view();
}

}  // namespace vgpu::protocol
