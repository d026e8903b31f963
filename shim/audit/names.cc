#include "shim/audit/names.h"

#include "shim/audit/system.h"

namespace vgpu::audit {
namespace {

// One text with all names and offsets into it: pointers would have to be relocated in every process.
constexpr char kText[] =
#define RUNTIME(name, versions) #name "\0"
#define REFUSED(name, versions, reason) #name "\0"
#include "shim/cudart/calls.inc"
    ;

constexpr Versions kVersions[] = {
#define RUNTIME(name, versions) Versions::versions,
#define REFUSED(name, versions, reason) Versions::versions,
#include "shim/cudart/calls.inc"
};

constexpr size_t kSlots = 2048;  // a power of two, several times the rows
static_assert(kRowCount * 3 < kSlots && sizeof kText < 65536);

constexpr uint32_t hash(const char* name) {
  uint32_t value = 2166136261u;  // FNV-1a
  for (; *name != 0; ++name) value = (value ^ static_cast<unsigned char>(*name)) * 16777619u;
  return value ^ (value >> 15);
}

struct Table {
  uint16_t offset[kRowCount];
  uint16_t slot[kSlots];  // row + 1, 0 for none
};

consteval Table build() {
  Table table{};
  size_t position = 0;
  for (size_t row = 0; row < kRowCount; ++row) {
    table.offset[row] = static_cast<uint16_t>(position);
    size_t slot = hash(kText + position) % kSlots;
    while (table.slot[slot] != 0) slot = (slot + 1) % kSlots;
    table.slot[slot] = static_cast<uint16_t>(row + 1);
    while (kText[position] != 0) ++position;
    ++position;
  }
  return table;
}

constexpr Table kTable = build();

}  // namespace

size_t findRow(const char* name) {
  for (size_t slot = hash(name) % kSlots; kTable.slot[slot] != 0; slot = (slot + 1) % kSlots) {
    size_t row = kTable.slot[slot] - 1u;
    if (equal(rowName(row), name)) return row;
  }
  return kNoRow;
}

const char* rowName(size_t row) { return kText + kTable.offset[row]; }

bool rowIn(size_t row, int version) {
  return kVersions[row] == Versions::Both ||
         kVersions[row] == (version == 12 ? Versions::Only12 : Versions::Only13);
}

}  // namespace vgpu::audit
