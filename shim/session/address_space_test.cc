#include "shim/session/address_space.h"

#include <gtest/gtest.h>

namespace vgpu::shim {
namespace {

constexpr uint64_t kBase = 0x5510'0000'0000, kPage = 4096, kSize = 1 << 20;

TEST(AddressSpace, BlocksAreSeparatedByTheGuard) {
  AddressSpace space(kBase, kSize, kPage, kPage);
  EXPECT_EQ(space.allocate(1), kBase);
  EXPECT_EQ(space.allocate(1), kBase + 2 * kPage);
}

TEST(AddressSpace, FreedAddressIsNotHandedOutAgainAtOnce) {
  AddressSpace space(kBase, kSize, kPage, kPage);
  const uint64_t first = *space.allocate(kPage);
  space.free(first, kPage);
  EXPECT_NE(space.allocate(kPage), first);
}

TEST(AddressSpace, FullRangeSaysSoAndRecoversWhenFreed) {
  AddressSpace space(kBase, kSize, kPage, 0);
  const auto all = space.allocate(kSize);
  ASSERT_TRUE(all);
  EXPECT_FALSE(space.allocate(1));
  space.free(*all, kSize);
  EXPECT_TRUE(space.allocate(kSize));
}

TEST(AddressSpace, NeighboursMergeWhenFreed) {
  AddressSpace space(kBase, 4 * kPage, kPage, 0);
  const uint64_t a = *space.allocate(kPage), b = *space.allocate(kPage), c = *space.allocate(2 * kPage);
  space.free(a, kPage);
  space.free(c, 2 * kPage);
  space.free(b, kPage);
  EXPECT_EQ(space.allocate(4 * kPage), kBase);
}

TEST(AddressSpace, WantedAddressIsGivenOnlyWhenItIsFree) {
  AddressSpace space(kBase, kSize, kPage, 0);
  EXPECT_TRUE(space.allocateAt(kBase + 8 * kPage, kPage));
  EXPECT_FALSE(space.allocateAt(kBase + 8 * kPage, kPage));
  EXPECT_FALSE(space.allocateAt(kBase + 7 * kPage, 2 * kPage));
  EXPECT_FALSE(space.allocateAt(kBase + 1, kPage));
  EXPECT_FALSE(space.allocateAt(kBase + kSize, kPage));
}

TEST(AddressSpace, AlignmentIsKept) {
  AddressSpace space(kBase, kSize, kPage, kPage);
  (void)space.allocate(1);
  EXPECT_EQ(*space.allocate(kPage, 1 << 16) % (1 << 16), 0u);
}

TEST(AddressSpace, OverlongSizesAreRefused) {
  AddressSpace space(kBase, kSize, kPage, kPage);
  EXPECT_FALSE(space.allocate(0));
  EXPECT_FALSE(space.allocate(~uint64_t{0}));
  EXPECT_FALSE(space.allocate(kSize));  // no room for the guard
}

}  // namespace
}  // namespace vgpu::shim
