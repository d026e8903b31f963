#include "cpu_driver/runtime/launch_job.h"

#include <gtest/gtest.h>

namespace vgpu::cpu {
namespace {

TEST(LaunchJob, TheLastToLeaveIsOneThread) {
  LaunchJob job(nullptr, nullptr);
  job.launch().blockCount = 8;
  ASSERT_TRUE(job.join());
  EXPECT_FALSE(job.leave());
  EXPECT_TRUE(job.leave());
}

// A thread may have looked for blocks before another took the last of them, ran it and left.
TEST(LaunchJob, NobodyJoinsAfterTheLastHasLeft) {
  LaunchJob job(nullptr, nullptr);
  job.launch().blockCount = 8;  // as if it had looked before
  ASSERT_TRUE(job.leave());
  EXPECT_FALSE(job.join());
}

TEST(LaunchJob, NobodyJoinsWithoutABlock) {
  LaunchJob job(nullptr, nullptr);
  job.launch().blockCount = 1;
  job.launch().nextBlock = 1;
  EXPECT_FALSE(job.join());
}

}  // namespace
}  // namespace vgpu::cpu
