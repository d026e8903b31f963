// The guest's bookkeeping of slots and thread ids, the layout, and the copies.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "transport/ring/copy.h"
#include "transport/ring/guest_window.h"
#include "transport/ring/layout.h"
#include "transport/ring/shared_word.h"
#include "transport/ring/spin.h"

namespace vgpu::transport {
namespace {

TEST(GuestWindowTest, TheMostRecentlyFreedSlotIsTakenFirst) {
  std::vector<SlotControl> control(4);
  GuestWindow window(control.data(), {.slots = 4});
  EXPECT_EQ(window.tryTake(), 0);
  EXPECT_EQ(window.tryTake(), 1);
  EXPECT_FALSE(window.give(0));
  EXPECT_EQ(window.tryTake(), 0);
  EXPECT_EQ(window.tryTake(), 2);
  EXPECT_EQ(window.tryTake(), 3);
  EXPECT_EQ(window.tryTake(), kNoSlot);
}

TEST(GuestWindowTest, AnUploadsSlotComesBackWhenItsOwnSequenceIsReleased) {
  std::vector<SlotControl> control(1);
  GuestWindow window(control.data(), {.slots = 1});
  const uint16_t slot = window.tryTake();
  window.uploaded(slot, 77);
  EXPECT_EQ(window.tryTake(), kNoSlot);
  storeRelease(&control[0].sequence, uint64_t{76});  // an earlier use of it
  EXPECT_EQ(window.tryTake(), kNoSlot);
  storeRelease(&control[0].sequence, uint64_t{77});
  EXPECT_TRUE(window.mayTake());
  EXPECT_EQ(window.tryTake(), 0);
}

TEST(GuestWindowTest, UploadsInFlightCanBeLimited) {
  std::vector<SlotControl> control(8);
  GuestWindow window(control.data(), {.slots = 8});
  window.uploaded(window.tryTake(2), 1);
  window.uploaded(window.tryTake(2), 2);
  EXPECT_EQ(window.tryTake(2), kNoSlot);
  EXPECT_NE(window.tryTake(), kNoSlot);
}

TEST(LayoutTest, RegionsDoNotOverlapAndAreOnPages) {
  const ChannelLayout layout = layoutOf({});
  size_t end = 0;
  for (const Region& region : layout.regions) {
    EXPECT_EQ(region.offset % 4096, 0u);
    EXPECT_GE(region.offset, end);
    end = region.offset + region.lengthBytes;
  }
  EXPECT_LE(end, layout.totalBytes);
  EXPECT_LT(layout.totalBytes, size_t{8} << 20);  // what an idle session may hold, if it touched all of it
}

TEST(LayoutTest, ImpossibleLimitsAreRefused) {
  EXPECT_TRUE(checkLimits({}).ok());
  EXPECT_FALSE(checkLimits({.ringLines = 4095}).ok());
  EXPECT_FALSE(checkLimits({.ringLines = 64}).ok());
  EXPECT_FALSE(checkLimits({.ringLines = 1u << 31}).ok());
  EXPECT_FALSE(checkLimits({.threads = 0}).ok());
  EXPECT_FALSE(checkLimits({.eventLines = 3}).ok());
  EXPECT_FALSE(checkLimits({.streams = 1u << 30}).ok());
  EXPECT_FALSE(checkLimits({.slots = 0xffff}).ok());
  EXPECT_FALSE(checkLimits({.slotBytes = 100'000}).ok());
  EXPECT_FALSE(checkLimits({.slotBytes = 1u << 30}).ok());
}

TEST(CopyTest, EveryByteAndNoOther) {
  std::vector<unsigned char> from(300'000), to(300'200);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<unsigned char>(i * 7 + i / 251);
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{63}, size_t{32 * 1024}, size_t{100'001}, size_t{299'900}}) {
    for (const size_t offset : {size_t{0}, size_t{1}, size_t{63}, size_t{64}}) {
      std::fill(to.begin(), to.end(), static_cast<unsigned char>(0xcc));
      copyOut(to.data() + offset, from.data() + 3, bytes);
      ASSERT_EQ(std::memcmp(to.data() + offset, from.data() + 3, bytes), 0) << bytes << " at " << offset;
      if (offset > 0) EXPECT_EQ(to[offset - 1], 0xcc);
      EXPECT_EQ(to[offset + bytes], 0xcc);
    }
  }
}

TEST(SpinTest, ACheapAnswerIsSeenAndAnExpensiveOneIsNotWaitedFor) {
  SpinBudget budget;
  EXPECT_TRUE(budget.spin([] { return true; }));
  const MonotonicTime start = now();
  EXPECT_FALSE(budget.spin([] { return false; }));
  EXPECT_LT(now() - start, std::chrono::seconds(1));  // by far: even on a machine that is busy
  EXPECT_GE(wakeCost(), std::chrono::microseconds(1));
}

}  // namespace
}  // namespace vgpu::transport
