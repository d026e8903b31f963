#include "mediator/link/session_statistics.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>

namespace vgpu::link {
namespace {

using namespace std::chrono_literals;

struct Page {
  UniqueFd memfd = *makeStatisticsPage();
  StatisticsWriter writer = *StatisticsWriter::open(memfd.get());
  StatisticsReader reader{UniqueFd(::dup(memfd.get()))};
};

TEST(SessionStatistics, WhatIsCountedIsRead) {
  Page page;
  page.writer->setState(SessionState::Active);
  page.writer->setCarrier(SessionCarrier::Memfd);
  page.writer->setProgram("saxpy");
  page.writer->countCall(0x0201, false);
  page.writer->countCall(0x0201, true);
  page.writer->countCall(0xffff, false);
  addOwned(page.writer->bytesFromGuest, 100);
  page.writer->allocatedBytes.fetch_add(4096);
  page.writer->timeCall(CallClass::Call, 1us);

  const SessionSample& sample = page.reader.sample(1s);
  EXPECT_EQ(sample.state, SessionState::Active);
  EXPECT_EQ(sample.carrier, SessionCarrier::Memfd);
  EXPECT_EQ(sample.program, "saxpy");
  ASSERT_EQ(sample.calls.size(), 2u);
  EXPECT_EQ(sample.calls[0].number, 0);  // numbers beyond the table share slot 0
  EXPECT_EQ(sample.calls[1].number, 0x0201);
  EXPECT_EQ(sample.calls[1].calls, 2u);
  EXPECT_EQ(sample.calls[1].errors, 1u);
  EXPECT_EQ(sample.bytesFromGuest, 100u);
  EXPECT_EQ(sample.allocatedBytes, 4096u);
  EXPECT_EQ(sample.latency[1].sumNanoseconds, 1000u);
  EXPECT_EQ(sample.latency[1].buckets[latencyBucket(1000)], 1u);
}

TEST(SessionStatistics, BucketsDoubleFrom256Nanoseconds) {
  EXPECT_EQ(latencyBucket(0), 0u);
  EXPECT_EQ(latencyBucket(255), 0u);
  EXPECT_EQ(latencyBucket(256), 1u);
  EXPECT_EQ(latencyBucket(511), 1u);
  EXPECT_EQ(latencyBucket(512), 2u);
  EXPECT_EQ(latencyBucket(~uint64_t{0}), kLatencyBuckets - 1);
}

TEST(SessionStatistics, TheExecutorCannotCutThePageAway) {
  Page page;
  EXPECT_LT(::ftruncate(page.memfd.get(), 0), 0);
  EXPECT_LT(::ftruncate(page.memfd.get(), 1 << 24), 0);
}

TEST(SessionStatistics, CountersNeverGoDown) {
  Page page;
  page.writer->bytesToGuest = 1000;
  page.reader.sample(1s);
  page.writer->bytesToGuest = 10;
  EXPECT_EQ(page.reader.sample(2s).bytesToGuest, 1000u);
}

TEST(SessionStatistics, HostileValuesStayWithinWhatAMachineCouldDo) {
  Page page;
  std::memset(static_cast<void*>(page.writer.page()), 0xff, sizeof(StatisticsPage));
  const SessionSample& sample = page.reader.sample(1s);
  EXPECT_EQ(sample.state, SessionState::Starting);
  EXPECT_EQ(sample.carrier, SessionCarrier::None);
  EXPECT_EQ(sample.program, std::string(63, '?'));
  EXPECT_LE(sample.allocatedBytes, uint64_t{1} << 47);
  EXPECT_LE(sample.queueDepth, uint64_t{1} << 32);
  EXPECT_LE(sample.bytesFromGuest, uint64_t{8'000'000'000'000});
  EXPECT_EQ(sample.calls.size(), kCallSlots);
  EXPECT_LE(sample.calls[7].calls, uint64_t{2'000'000'000});
  // Also for a session of a thousand years, where the bound itself would overflow.
  EXPECT_GT(page.reader.sample(std::chrono::hours(24 * 365 * 200)).bytesFromGuest, 0u);
}

TEST(SessionStatistics, UnusedCallsTakeNoMemory) {
  Page page;
  page.writer->countCall(0x0201, false);
  page.reader.sample(1s);
  struct stat status;
  ASSERT_EQ(::fstat(page.memfd.get(), &status), 0);
  EXPECT_LE(status.st_blocks * 512, 8192);
}

}  // namespace
}  // namespace vgpu::link
