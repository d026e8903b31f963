#include "mediator/daemon/session_table.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "mediator/daemon/metrics.h"

namespace vgpu::daemon {
namespace {

struct TestSession {
  UniqueFd memfd = *link::makeStatisticsPage();
  link::StatisticsWriter writer = *link::StatisticsWriter::open(memfd.get());
  link::StatisticsReader reader() { return link::StatisticsReader(UniqueFd(::dup(memfd.get()))); }
};

const VgpuTable kNoVgpus;

SessionIdentity identity(uint64_t id) {
  SessionIdentity made;
  made.id = id;
  return made;
}

TEST(SessionTable, TotalsAreTheEndedAndTheLiving) {
  SessionTable table;
  TestSession first, second;
  table.begin(identity(1), first.reader());
  table.begin(identity(2), second.reader());
  first.writer->countCall(0x0210, false);
  second.writer->countCall(0x0210, true);
  table.end(1);
  std::vector<SessionView> living;
  const Totals totals = table.totals(living);
  EXPECT_EQ(living.size(), 1u);
  EXPECT_EQ(totals.calls.at(0x0210).calls, 2u);
  EXPECT_EQ(totals.calls.at(0x0210).errors, 1u);
  EXPECT_EQ(totals.sessionsStarted, 2u);
}

TEST(SessionTable, BytesStayWithTheirCarrier) {
  SessionTable table;
  TestSession session;
  table.begin(identity(1), session.reader());
  session.writer->setCarrier(link::SessionCarrier::TcpStream);
  link::addOwned(session.writer->bytesToGuest, 7);
  table.end(1);
  std::vector<SessionView> living;
  EXPECT_EQ(table.totals(living).bytesToGuest[static_cast<size_t>(link::SessionCarrier::TcpStream)], 7u);
}

TEST(SessionTable, ASessionEndsOnce) {
  SessionTable table;
  TestSession session;
  session.writer->countCall(0x0210, false);
  table.begin(identity(1), session.reader());
  table.end(1);
  table.end(1);
  std::vector<SessionView> living;
  EXPECT_EQ(table.totals(living).calls.at(0x0210).calls, 1u);
}

TEST(Metrics, TheReferenceInDocsIsTheCodes) {
  std::ifstream file(VGPU_SOURCE_DIR "/docs/metrics.md", std::ios::binary);
  const std::string written{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(written, metricsReference()) << "run: vgpu-mediator --metrics-reference > docs/metrics.md";
}

TEST(Metrics, SeriesOfSessionsAreBounded) {
  SessionTable table;
  TestSession session;
  for (uint64_t id = 1; id <= 300; ++id) table.begin(identity(id), session.reader());
  for (const auto& family : Metrics(table, kNoVgpus).Collect()) {
    if (family.name == "vgpu_session_allocated_bytes") EXPECT_EQ(family.metric.size(), 256u);
    if (family.name == "vgpu_sessions") EXPECT_EQ(family.metric.at(0).gauge.value, 300);
  }
}

TEST(Metrics, AHistogramAddsUp) {
  SessionTable table;
  TestSession session;
  table.begin(identity(1), session.reader());
  session.writer->timeCall(link::CallClass::Call, std::chrono::nanoseconds(300));
  session.writer->timeCall(link::CallClass::Call, std::chrono::hours(1));
  const std::string text = prometheus::TextSerializer().Serialize(Metrics(table, kNoVgpus).Collect());
  EXPECT_NE(text.find("vgpu_call_duration_seconds_bucket{class=\"call\",le=\"5.12e-07\"} 1"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("vgpu_call_duration_seconds_bucket{class=\"call\",le=\"+Inf\"} 2"), std::string::npos);
  EXPECT_NE(text.find("vgpu_call_duration_seconds_count{class=\"call\"} 2"), std::string::npos);
}

TEST(Metrics, AProgramsNameCannotForgeALine) {
  SessionTable table;
  TestSession session;
  session.writer->setProgram("x\"} 1\nvgpu_forged 1");
  table.begin(identity(1), session.reader());
  const std::string text = prometheus::TextSerializer().Serialize(Metrics(table, kNoVgpus).Collect());
  EXPECT_EQ(text.find("\nvgpu_forged"), std::string::npos);
  EXPECT_NE(text.find("program=\"x\\\"} 1?vgpu_forged 1\""), std::string::npos) << text;
}

}  // namespace
}  // namespace vgpu::daemon
