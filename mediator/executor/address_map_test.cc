#include "mediator/executor/address_map.h"

#include <gtest/gtest.h>

namespace vgpu::executor {
namespace {

MemoryBlock block(uint64_t address, uint64_t sizeBytes) {
  MemoryBlock result;
  result.address = address;
  result.sizeBytes = sizeBytes;
  return result;
}

TEST(AddressMap, ARangeIsLiveWhenAllOfItIs) {
  AddressMap map;
  ASSERT_TRUE(map.insert(block(0x1000, 0x1000)));
  EXPECT_TRUE(map.covers(0x1000, 0x1000));
  EXPECT_TRUE(map.covers(0x1fff, 1));
  EXPECT_FALSE(map.covers(0x1fff, 2));
  EXPECT_FALSE(map.covers(0xfff, 1));
  EXPECT_FALSE(map.covers(0x1800, UINT64_MAX));
  EXPECT_TRUE(map.covers(0x9999, 0)) << "no byte is no violation";
}

TEST(AddressMap, AdjoiningBlocksAreOneRange) {
  AddressMap map;
  ASSERT_TRUE(map.insert(block(0x1000, 0x1000)));
  ASSERT_TRUE(map.insert(block(0x2000, 0x1000)));
  EXPECT_TRUE(map.covers(0x1800, 0x1000));
  EXPECT_FALSE(map.covers(0x1800, 0x1801));
}

TEST(AddressMap, NothingIsPlacedOverAnotherBlock) {
  AddressMap map;
  ASSERT_TRUE(map.insert(block(0x2000, 0x1000)));
  EXPECT_FALSE(map.insert(block(0x2fff, 1)));
  EXPECT_FALSE(map.insert(block(0x1000, 0x1001)));
  EXPECT_FALSE(map.insert(block(0x1000, UINT64_MAX)));
  EXPECT_FALSE(map.insert(block(0x5000, 0)));
  EXPECT_TRUE(map.insert(block(0x1000, 0x1000)));
  EXPECT_TRUE(map.insert(block(0x3000, 0x1000)));
}

TEST(AddressMap, ARemovedBlockIsNotFoundAgain) {
  AddressMap map;
  ASSERT_TRUE(map.insert(block(0x1000, 0x1000)));
  ASSERT_NE(map.find(0x1800), nullptr);
  map.remove(0x1000);
  EXPECT_EQ(map.find(0x1800), nullptr);
  EXPECT_FALSE(map.covers(0x1000, 1));
}

}  // namespace
}  // namespace vgpu::executor
