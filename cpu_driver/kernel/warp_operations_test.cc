#include "cpu_driver/kernel/warp_operations.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>

namespace vgpu::kernel {
namespace {

std::array<uint64_t, 32> complete(uint32_t lanes, const std::function<WarpRequest(uint32_t)>& of) {
  std::array<WarpRequest, 32> requests;
  const WarpRequest* pointers[32];
  std::array<uint64_t, 32> results{};
  for (uint32_t lane = 0; lane < 32; ++lane) {
    requests[lane] = of(lane);
    pointers[lane] = &requests[lane];
  }
  completeWarpOperation(lanes, pointers, results.data());
  return results;
}

uint32_t low(uint64_t result) { return static_cast<uint32_t>(result); }
bool high(uint64_t result) { return (result >> 32 & 1) != 0; }

WarpRequest shuffle(uint32_t mode, uint64_t value, uint32_t b, uint32_t c) {
  return {WarpOperation::Shuffle, mode, ~0u, value, b, c};
}

TEST(WarpOperations, ShuffleUpStopsAtTheSegment) {
  const auto r = complete(~0u, [](uint32_t lane) { return shuffle(0, lane, 3, 0); });
  EXPECT_EQ(low(r[2]), 2u);
  EXPECT_FALSE(high(r[2]));
  EXPECT_EQ(low(r[3]), 0u);
  EXPECT_TRUE(high(r[3]));
  EXPECT_EQ(low(r[31]), 28u);
}

TEST(WarpOperations, ShuffleDownInSegmentsOfEight) {
  const uint32_t c = (32 - 8) << 8 | 31;
  const auto r = complete(~0u, [&](uint32_t lane) { return shuffle(1, lane, 2, c); });
  EXPECT_EQ(low(r[5]), 7u);
  EXPECT_TRUE(high(r[5]));
  EXPECT_EQ(low(r[6]), 6u);
  EXPECT_FALSE(high(r[6]));
}

TEST(WarpOperations, ShuffleByIndexIsWithinItsSegment) {
  const uint32_t c = (32 - 16) << 8 | 31;
  const auto r = complete(~0u, [&](uint32_t lane) { return shuffle(3, lane * 10, 5, c); });
  EXPECT_EQ(low(r[0]), 50u);
  EXPECT_EQ(low(r[20]), 210u);
}

TEST(WarpOperations, AShuffleFromALaneThatIsNotThereGivesTheLanesOwn) {
  const auto r = complete(0xffff, [](uint32_t lane) { return shuffle(2, lane, 16, 31); });
  EXPECT_EQ(low(r[3]), 3u);
}

TEST(WarpOperations, VotesCountOnlyWhoArrived) {
  const auto of = [](uint32_t mode) {
    return complete(0xff, [mode](uint32_t lane) -> WarpRequest {
      return {WarpOperation::Vote, mode, 0xff, lane < 8, 0, 0};
    });
  };
  EXPECT_EQ(of(0)[0], 0xffu);
  EXPECT_EQ(of(1)[0], 1u);
  EXPECT_EQ(of(2)[0], 1u);
  EXPECT_EQ(of(3)[0], 1u);
}

TEST(WarpOperations, MatchFindsEqualLanes) {
  const auto any = complete(
      ~0u, [](uint32_t lane) -> WarpRequest { return {WarpOperation::MatchAny, 0, ~0u, lane % 4, 0, 0}; });
  EXPECT_EQ(low(any[1]), 0x22222222u);
  const auto all =
      complete(~0u, [](uint32_t) -> WarpRequest { return {WarpOperation::MatchAll, 0, ~0u, 9, 0, 0}; });
  EXPECT_EQ(low(all[1]), ~0u);
  EXPECT_TRUE(high(all[1]));
  const auto none = complete(
      ~0u, [](uint32_t lane) -> WarpRequest { return {WarpOperation::MatchAll, 0, ~0u, lane, 0, 0}; });
  EXPECT_EQ(none[1], 0u);
}

TEST(WarpOperations, ReductionsKeepTheSign) {
  const auto of = [](uint32_t mode) {
    return low(complete(0xf, [mode](uint32_t lane) -> WarpRequest {
      return {WarpOperation::Redux, mode, 0xf, static_cast<uint32_t>(static_cast<int>(lane) - 2), 0, 0};
    })[0]);
  };
  EXPECT_EQ(of(0), static_cast<uint32_t>(-2));
  EXPECT_EQ(of(1), static_cast<uint32_t>(-2));
  EXPECT_EQ(of(2), 1u);
  EXPECT_EQ(of(3), 0u);
  EXPECT_EQ(of(4), static_cast<uint32_t>(-1));
  EXPECT_EQ(of(5), 0u);
}

}  // namespace
}  // namespace vgpu::kernel
