#include "cpu_driver/runtime/extent_allocator.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace vgpu::cpu {
namespace {

TEST(ExtentAllocator, WhatIsReleasedMergesToTheWhole) {
  ExtentAllocator extents(1 << 20);
  const auto a = extents.allocate(4096, 4096), b = extents.allocate(8192, 4096),
             c = extents.allocate(4096, 4096);
  ASSERT_TRUE(a && b && c);
  extents.release(*a, 4096);
  extents.release(*c, 4096);
  extents.release(*b, 8192);
  EXPECT_EQ(extents.allocate(1 << 20, 4096), 0u);
}

TEST(ExtentAllocator, AlignmentIsKeptAndTheLeadStaysFree) {
  ExtentAllocator extents(1 << 20);
  ASSERT_EQ(extents.allocate(4096, 4096), 0u);
  const auto aligned = extents.allocate(4096, 65536);
  ASSERT_TRUE(aligned);
  EXPECT_EQ(*aligned % 65536, 0u);
  EXPECT_EQ(extents.freeBytes(), (1u << 20) - 8192u);
}

TEST(ExtentAllocator, FullSaysSo) {
  ExtentAllocator extents(8192);
  EXPECT_FALSE(extents.allocate(8193, 1));
  EXPECT_TRUE(extents.allocate(8192, 1));
  EXPECT_FALSE(extents.allocate(1, 1));
}

TEST(ExtentAllocator, RandomUseNeverOverlaps) {
  ExtentAllocator extents(1 << 16);
  std::vector<std::pair<uint64_t, uint64_t>> live;
  std::vector<bool> taken(1 << 16);
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): every run is the same run
  for (int i = 0; i < 20000; ++i) {
    if (live.empty() || random() % 2) {
      const uint64_t size = random() % 900 + 1;
      const auto offset = extents.allocate(size, uint64_t{1} << random() % 8);
      if (!offset) continue;
      for (uint64_t at = *offset; at < *offset + size; ++at) {
        ASSERT_FALSE(taken[at]);
        taken[at] = true;
      }
      live.emplace_back(*offset, size);
    } else {
      const size_t pick = random() % live.size();
      const auto [offset, size] = live[pick];
      for (uint64_t at = offset; at < offset + size; ++at) taken[at] = false;
      extents.release(offset, size);
      live[pick] = live.back();
      live.pop_back();
    }
  }
}

}  // namespace
}  // namespace vgpu::cpu
