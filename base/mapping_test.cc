#include "base/mapping.h"

#include <gtest/gtest.h>

namespace vgpu {
namespace {

constexpr uintptr_t kFreeAddress = 0x5510'0000'0000;

TEST(Mapping, ReservedRangeLiesWhereAsked) {
  auto range = reserveAt(kFreeAddress, 1 << 20);
  ASSERT_TRUE(range.ok()) << range.error().message();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(range->data()), kFreeAddress);
}

TEST(Mapping, TakenRangeIsRefusedAndLeftAlone) {
  auto first = reserveAt(kFreeAddress, 1 << 20);
  ASSERT_TRUE(first.ok());
  auto second = reserveAt(kFreeAddress + 4096, 4096);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, EEXIST);
}

TEST(Mapping, MovedFromOwnsNothing) {
  auto range = reserveAt(kFreeAddress, 4096);
  ASSERT_TRUE(range.ok());
  Mapping other = std::move(*range);
  EXPECT_FALSE(range.value().valid());
  EXPECT_TRUE(other.valid());
}

}  // namespace
}  // namespace vgpu
