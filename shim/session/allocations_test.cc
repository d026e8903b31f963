#include "shim/session/allocations.h"

#include <gtest/gtest.h>

namespace vgpu::shim {
namespace {

Allocation device(uint64_t address, uint64_t sizeBytes, MemoryKind kind = MemoryKind::Device) {
  Allocation allocation;
  allocation.address = address;
  allocation.sizeBytes = sizeBytes;
  allocation.kind = kind;
  return allocation;
}

TEST(Allocations, FoundByAnyAddressInside) {
  Allocations allocations;
  allocations.insert(device(0x1000, 100));
  EXPECT_TRUE(allocations.find(0x1000));
  EXPECT_TRUE(allocations.find(0x1063));
  EXPECT_FALSE(allocations.find(0x1064));
  EXPECT_FALSE(allocations.find(0xfff));
}

TEST(Allocations, CoversOnlyWhatLiesInOne) {
  Allocations allocations;
  allocations.insert(device(0x1000, 0x1000));
  allocations.insert(device(0x2000, 0x1000));
  EXPECT_TRUE(allocations.covers(0x1800, 0x800));
  EXPECT_FALSE(allocations.covers(0x1800, 0x801));
  EXPECT_FALSE(allocations.covers(0x1800, ~uint64_t{0}));
}

TEST(Allocations, OverlapsWhatReachesIntoTheRange) {
  Allocations allocations;
  allocations.insert(device(0x2000, 0x1000));
  EXPECT_FALSE(allocations.overlaps(0x1000, 0x1000));
  EXPECT_TRUE(allocations.overlaps(0x1000, 0x1001));
  EXPECT_TRUE(allocations.overlaps(0x2800, 0x10));
  EXPECT_TRUE(allocations.overlaps(0x2fff, 0x1000));
  EXPECT_FALSE(allocations.overlaps(0x3000, 0x1000));
}

TEST(Allocations, MappingsThatTouchAreOneRange) {
  Allocations allocations;
  allocations.insert(device(0x1000, 0x1000, MemoryKind::VirtualRange));
  allocations.insert(device(0x2000, 0x1000, MemoryKind::VirtualRange));
  EXPECT_TRUE(allocations.covers(0x1800, 0x1000));
  EXPECT_FALSE(allocations.covers(0x1800, 0x1801));
}

TEST(Allocations, RegisteredMemoryIsFoundFromBothSides) {
  Allocations allocations;
  Allocation registered = device(0x10000, 0x100, MemoryKind::Registered);
  registered.host = 0x7000;
  allocations.insert(registered);
  EXPECT_TRUE(allocations.find(0x7040));
  EXPECT_TRUE(allocations.find(0x10040));
  EXPECT_TRUE(allocations.covers(0x7040, 0xc0));
  allocations.remove(0x10000);
  EXPECT_FALSE(allocations.find(0x7040));
}

TEST(Allocations, IdentifiersAreNeverUsedTwice) {
  Allocations allocations;
  allocations.insert(device(0x1000, 16));
  const uint64_t first = allocations.find(0x1000)->id;
  allocations.remove(0x1000);
  allocations.insert(device(0x1000, 16));
  EXPECT_NE(allocations.find(0x1000)->id, first);
}

}  // namespace
}  // namespace vgpu::shim
