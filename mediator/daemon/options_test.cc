#include "mediator/daemon/options.h"

#include <gtest/gtest.h>

namespace vgpu::daemon {
namespace {

Result<Options> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "vgpu-mediator");
  return parseOptions(static_cast<int>(words.size()), words.data());
}

TEST(Options, BothFormsOfAValueAreTaken) {
  auto options =
      parse({"--configuration=/a", "--set", "x=1", "--set=y=2", "--idle-exit", "3", "--ready-fd=9"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->mediator.configurationFile, "/a");
  EXPECT_EQ(options->mediator.overrides, (std::vector<std::string>{"x=1", "y=2"}));
  EXPECT_EQ(options->mediator.idleExit, std::chrono::seconds(3));
  EXPECT_EQ(options->readyFd, 9);
}

TEST(Options, WhatIsWrongIsNamed) {
  EXPECT_EQ(parse({"--nonsense"}).error().operation, "--nonsense");
  EXPECT_EQ(parse({"--idle-exit", "soon"}).error().operation, "--idle-exit");
  EXPECT_EQ(parse({"--idle-exit=-1"}).error().operation, "--idle-exit");
  EXPECT_FALSE(parse({"--set"}).ok());
}

}  // namespace
}  // namespace vgpu::daemon
