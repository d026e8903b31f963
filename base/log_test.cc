#include "base/log.h"

#include <gtest/gtest.h>

namespace vgpu::log {
namespace {

TEST(Log, LineNamesLevelEventAndFields) {
  setLevel(Level::Info);
  testing::internal::CaptureStderr();
  info("session started", {{"pid", 42}, {"program", "a b"}});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "vgpu info: session started pid=42 program=\"a b\"\n");
}

TEST(Log, BelowTheLevelNothingIsWritten) {
  setLevel(Level::Off);
  testing::internal::CaptureStderr();
  error("lost");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Log, LineBreaksInValuesCannotForgeALine) {
  setLevel(Level::Info);
  testing::internal::CaptureStderr();
  info("x", {{"k", "a\nb"}});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "vgpu info: x k=\"a\\nb\"\n");
}

}  // namespace
}  // namespace vgpu::log
