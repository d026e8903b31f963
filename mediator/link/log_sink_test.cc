#include "mediator/link/log_sink.h"

#include <gtest/gtest.h>

namespace vgpu::link {
namespace {

TEST(LogSink, TextQuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(formatText(log::Level::Info, "session began", {{"program", "a b"}, {"uid", 5}, {"none", ""}}),
            "info: session began program=\"a b\" uid=5 none=\"\"");
}

TEST(LogSink, ALineStaysALine) {
  EXPECT_EQ(formatText(log::Level::Error, "x", {{"program", "a\nvgpu: forged\x1b[2J"}}),
            "error: x program=\"a\\nvgpu: forged\\u001b[2J\"");
}

TEST(LogSink, JsonEscapes) {
  EXPECT_EQ(formatJson(log::Level::Warning, "odd \"name\"", {{"path", "c:\\d\n"}}),
            R"({"level":"warning","event":"odd \"name\"","path":"c:\\d\n"})");
}

TEST(LogSink, LinesCarryTimeProcessAndSession) {
  testing::internal::CaptureStderr();
  installLogSink(LogFormat::Json, log::Level::Info, "executor");
  setLogSession(7);
  log::debug("unseen");
  log::info("seen", {{"k", "v"}});
  const std::string out = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(out.starts_with("{\"time\":\"20")) << out;
  EXPECT_NE(
      out.find("\"process\":\"executor\",\"session\":7,\"level\":\"info\",\"event\":\"seen\",\"k\":\"v\"}\n"),
      std::string::npos)
      << out;
  EXPECT_EQ(out.find("unseen"), std::string::npos);
}

}  // namespace
}  // namespace vgpu::link
