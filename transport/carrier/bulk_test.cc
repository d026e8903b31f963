// Data that lies in a window slot on its way, in both directions, the same over every carrier.
#include <gmock/gmock.h>

#include <deque>

#include "transport/carrier/channel_fixture.h"

namespace vgpu::transport {
namespace {

using testing::ElementsAre;

class BulkTest : public ChannelTest {};
INSTANTIATE_TEST_SUITE_P(Carriers, BulkTest, testing::Values(Kind::Memfd, Kind::UnixStream, Kind::Tcp),
                         nameOf);

TEST_P(BulkTest, ALargePayloadComesThroughASlot) {
  connectPair();
  const std::vector<std::byte> large = pattern(100'000, 1);
  serve([&](IncomingRecord& record) {
    EXPECT_EQ(record.dataBytes(), 200'000u);
    host_->reply(record.replyTo(), 3,
                 record.call() == 1 ? std::span<const std::byte>(large) : std::span<const std::byte>());
  });
  std::vector<std::byte> out(200'000);
  for (int i = 0; i < 50; ++i) {  // more often than there are slots
    const Reply reply = guest_->call(1, 0, bytesFrom("x"), out);
    ASSERT_EQ(reply.payloadBytes, large.size());
    EXPECT_EQ(reply.status, 3);
    EXPECT_TRUE(std::equal(large.begin(), large.end(), out.begin()));
    EXPECT_EQ(guest_->call(2, 0, bytesFrom("y"), out).payloadBytes, 0u);
  }
  endSession();
}

TEST_P(BulkTest, SmallDataTravelsWithTheRecordAndLargeDataInASlot) {
  connectPair();
  serve([&](IncomingRecord& record) {
    EXPECT_EQ(record.attachment(), Attachment::Upload);
    EXPECT_EQ(record.slot() == kNoSlot, record.dataBytes() <= kInlineDataBytes);
    EXPECT_EQ(textFrom(record.arguments()), "args!");
    const bool same = std::ranges::equal(record.data(), pattern(record.dataBytes(), record.call()));
    if (record.slot() != kNoSlot) host_->releaseSlot(record.slot());
    host_->reply(record.replyTo(), same ? 1 : 0, {});
  });
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{100}, kInlineDataBytes, kInlineDataBytes + 1, size_t{256 * 1024}}) {
    const Reply reply = guest_->callWithData(9, 0, bytesFrom("args!"), pattern(bytes, 9), {});
    EXPECT_EQ(reply.status, 1) << bytes;
  }
}

// The end of a pipeline that knows where data belongs.
struct OnePlace final : UploadPlaces {
  std::span<std::byte> placeFor(const IncomingRecord& record) override {
    ++asked;
    if (record.call() == 1) return {};
    return std::span(memory).subspan(8, record.dataBytes());
  }
  std::vector<std::byte> memory = std::vector<std::byte>(200'000);
  int asked = 0;
};

TEST_P(BulkTest, AByteStreamReceivesUploadsWhereTheyAreWanted) {
  connectPair();
  OnePlace places;
  host_->setUploadPlaces(&places);
  const std::vector<std::byte> data = pattern(100'000, 5);
  std::vector<bool> inPlace;
  serve([&](IncomingRecord& record) {
    EXPECT_TRUE(std::ranges::equal(record.data(), data));
    inPlace.push_back(record.data().data() == places.memory.data() + 8);
    host_->releaseSlot(record.slot());
    host_->reply(record.replyTo(), 0);
  });
  for (const uint16_t call : std::initializer_list<uint16_t>{1, 2, 2, 1})
    guest_->callWithData(call, 0, bytesFrom("arguments"), data, {});
  endSession();
  const bool stream = GetParam() != Kind::Memfd;
  EXPECT_THAT(inPlace, ElementsAre(false, stream, stream, false));
  EXPECT_EQ(places.asked, stream ? 4 : 0);
}

TEST_P(BulkTest, UploadsGoOnAsSlotsComeBack) {
  connectPair();
  std::deque<uint16_t> held;
  uint64_t right = 0;
  serve([&](IncomingRecord& record) {
    right += std::ranges::equal(record.data(), pattern(record.dataBytes(), record.call()));
    held.push_back(record.slot());
    // Released late and in another order, as streams do.
    if (held.size() < 8) return;
    host_->releaseSlot(held.back());
    held.pop_back();
    host_->releaseSlot(held.front());
    held.pop_front();
    host_->retire(7, record.sequence());
  });
  uint64_t last = 0;
  for (unsigned i = 0; i < 200; ++i)
    last = guest_->postWithData(static_cast<uint16_t>(i), 0, {}, pattern(64 * 1024, i));
  EXPECT_EQ(guest_->waitRetired(7, last), Wait::Ready);
  endSession();
  EXPECT_EQ(right, 200u);
}

TEST_P(BulkTest, DownloadsOverlap) {
  connectPair();
  serve([&](IncomingRecord& record) {
    EXPECT_EQ(record.attachment(), Attachment::Download);
    const std::vector<std::byte> data = pattern(record.dataBytes(), record.call());
    std::ranges::copy(data, host_->slotMemory(record.slot()).begin());
    host_->completeDownload(record.replyTo(), record.call() == 13 ? 700 : 0,
                            record.call() == 13 ? 0 : record.dataBytes());
  });
  constexpr size_t kChunk = 200'000;
  std::vector<std::byte> out(kChunk * 40);
  std::deque<std::pair<unsigned, Download>> inFlight;
  const auto finish = [&] {
    const auto [index, download] = inFlight.front();
    inFlight.pop_front();
    const Reply reply = guest_->finishDownload(download);
    EXPECT_EQ(reply.status, index == 13 ? 700 : 0);
    EXPECT_EQ(reply.payloadBytes, index == 13 ? 0 : kChunk);
    if (index != 13)
      EXPECT_TRUE(std::ranges::equal(std::span(out).subspan(index * kChunk, kChunk), pattern(kChunk, index)));
  };
  for (unsigned i = 0; i < 40; ++i) {
    const auto part = std::span(out).subspan(i * kChunk, kChunk);
    if (inFlight.size() == kDownloadsInFlight) finish();
    auto download = inFlight.empty() ? guest_->beginDownload(static_cast<uint16_t>(i), 0, {}, part)
                                     : *guest_->tryBeginDownload(static_cast<uint16_t>(i), 0, {}, part);
    inFlight.emplace_back(i, download);
  }
  while (!inFlight.empty()) finish();
}

TEST_P(BulkTest, BulkDataBothWaysAtOnceGoesOn) {
  connectPair();
  constexpr int kPieces = 200;  // many times what the sockets hold
  constexpr size_t kBytes = 256 * 1024;
  serve([&](IncomingRecord& record) {
    if (record.attachment() == Attachment::Upload) return host_->releaseSlot(record.slot());
    if (record.attachment() == Attachment::None) return host_->reply(record.replyTo(), 0);
    host_->completeDownload(record.replyTo(), 0, record.dataBytes());
  });
  const std::vector<std::byte> data = pattern(kBytes, 1);
  std::thread uploading([&] {
    for (int i = 0; i < kPieces; ++i) EXPECT_NE(guest_->postWithData(1, 1, {}, data), 0u);
  });
  std::thread calling([&] {
    for (int i = 0; i < kPieces; ++i) EXPECT_FALSE(guest_->call(1, 2, {}, {}).lost);
  });
  std::vector<std::byte> out(kBytes * kDownloadsInFlight);
  for (int i = 0; i < kPieces; i += kDownloadsInFlight) {
    std::vector<Download> downloads;
    for (size_t part = 0; part < kDownloadsInFlight; ++part) {
      const auto into = std::span(out).subspan(part * kBytes, kBytes);
      if (part == 0) {
        downloads.push_back(guest_->beginDownload(1, 0, {}, into));
      } else if (const auto download = guest_->tryBeginDownload(1, 0, {}, into)) {
        downloads.push_back(*download);
      }
    }
    for (const Download& download : downloads)
      EXPECT_EQ(guest_->finishDownload(download).payloadBytes, kBytes);
  }
  uploading.join();
  calling.join();
}

TEST_P(BulkTest, WithoutAFreeSlotTryBeginDownloadAsksToFinishOneFirst) {
  connectPair({.slots = 2});
  serve([&](IncomingRecord& record) { host_->completeDownload(record.replyTo(), 0, 4); });
  std::array<std::byte, 4> a, b, c;
  const Download first = guest_->beginDownload(0, 0, {}, a);
  const auto second = guest_->tryBeginDownload(0, 0, {}, b);
  ASSERT_TRUE(second);
  EXPECT_FALSE(guest_->tryBeginDownload(0, 0, {}, c));
  guest_->finishDownload(first);
  const auto third = guest_->tryBeginDownload(0, 0, {}, c);
  ASSERT_TRUE(third);
  EXPECT_EQ(guest_->finishDownload(*second).payloadBytes, 4u);
  EXPECT_EQ(guest_->finishDownload(*third).payloadBytes, 4u);
}

}  // namespace
}  // namespace vgpu::transport
