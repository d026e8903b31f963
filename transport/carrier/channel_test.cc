// The channel as both its users see it, the same over every carrier.
#include <gmock/gmock.h>

#include <atomic>
#include <set>

#include "transport/carrier/channel_fixture.h"

namespace vgpu::transport {
namespace {

using testing::ElementsAre;
using namespace std::chrono_literals;

INSTANTIATE_TEST_SUITE_P(Carriers, ChannelTest, testing::Values(Kind::Memfd, Kind::UnixStream, Kind::Tcp),
                         nameOf);

TEST_P(ChannelTest, HelloAndWelcomeArriveUnchanged) {
  connectPair();
  EXPECT_EQ(helloSeen_, "hello");
  EXPECT_EQ(welcomeSeen_, "welcome");
}

TEST_P(ChannelTest, RecordsArriveInOrderWithTheirBytes) {
  connectPair();
  std::vector<std::vector<std::byte>> sent;
  std::atomic<size_t> seen{0};
  const size_t sizes[] = {0, 1, 47, 48, 49, 112, 113, 1000, 4096, kMaxArgumentBytes};
  for (unsigned i = 0; i < 600; ++i) sent.push_back(pattern(sizes[i % std::size(sizes)], i));
  serve([&](IncomingRecord& record) {
    const size_t index = seen.load();
    EXPECT_EQ(record.call(), index % 1000);
    EXPECT_EQ(record.sequence(), index + 1);
    EXPECT_EQ(record.thread(), 3);
    EXPECT_TRUE(std::ranges::equal(record.arguments(), sent[index]));
    EXPECT_EQ(record.attachment(), Attachment::None);
    ++seen;
    if (seen == sent.size()) host_->retire(0, record.sequence());
  });
  for (unsigned i = 0; i < sent.size(); ++i)
    EXPECT_EQ(guest_->post(static_cast<uint16_t>(i % 1000), 3, sent[i]), i + 1);
  EXPECT_EQ(guest_->waitRetired(0, sent.size()), Wait::Ready);
  EXPECT_EQ(seen, sent.size());
}

TEST_P(ChannelTest, ArgumentsAreFilledInPlace) {
  connectPair();
  serve([&](IncomingRecord& record) {
    if (record.call() == 1) EXPECT_EQ(textFrom(record.arguments()), "in place");
    if (record.call() == 2) host_->reply(record.replyTo(), 0, record.arguments());
  });
  uint64_t told = 0;
  const uint64_t posted = guest_->post(1, 0, 8, [&](std::byte* into, uint64_t sequence) {
    std::memcpy(into, "in place", 8);
    told = sequence;
  });
  EXPECT_EQ(told, posted);
  std::array<std::byte, 8> payload{};
  const Reply reply = guest_->call(2, 0, bytesFrom("a call"), payload);
  EXPECT_EQ(textFrom(std::span(payload).first(reply.payloadBytes)), "a call");
}

TEST_P(ChannelTest, ACallReturnsStatusAndPayload) {
  connectPair();
  serve([&](IncomingRecord& record) { host_->reply(record.replyTo(), -7, bytesFrom("short answer")); });
  std::array<std::byte, kReplyInlineBytes> payload;
  const Reply reply = guest_->call(5, 0, {}, payload);
  EXPECT_FALSE(reply.lost);
  EXPECT_EQ(reply.status, -7);
  EXPECT_EQ(textFrom(std::span(payload).first(reply.payloadBytes)), "short answer");
  EXPECT_EQ(guest_->call(5, 0, {}, {}).status, -7);
}

TEST_P(ChannelTest, ManyThreadsPostCallAndCopyAtTheSameTime) {
  connectPair();
  constexpr int kThreads = 8;
  constexpr uint32_t kRounds = 300;
  std::array<uint32_t, kThreads> nextOf{};
  serve([&](IncomingRecord& record) {
    uint32_t value;
    std::memcpy(&value, record.arguments().data(), sizeof value);
    EXPECT_EQ(value, nextOf[record.thread()]++);  // the order of each thread is kept
    if (record.call() == 1) host_->reply(record.replyTo(), static_cast<int32_t>(value), record.arguments());
    if (record.call() == 2) host_->releaseSlot(record.slot());
    if (record.call() == 3) {
      std::ranges::fill(host_->slotMemory(record.slot()).first(record.dataBytes()),
                        static_cast<std::byte>(value));
      host_->completeDownload(record.replyTo(), 0, record.dataBytes());
    }
    host_->retire(record.thread(), record.sequence());
  });
  const std::vector<std::byte> data = pattern(50'000, 1);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, id = *guest_->attachThread()] {
      uint64_t last = 0;
      std::vector<std::byte> out(30'000);
      for (uint32_t i = 0; i < kRounds; ++i) {
        const auto arguments = std::as_bytes(std::span(&i, 1));
        std::array<std::byte, 4> payload;
        switch (i % 5) {
          case 0: {
            const Reply reply = guest_->call(1, id, arguments, payload);
            EXPECT_EQ(reply.status, static_cast<int32_t>(i));
            EXPECT_TRUE(std::ranges::equal(payload, arguments));
            break;
          }
          case 1:
            last = guest_->postWithData(2, id, arguments, data);
            break;
          case 2: {
            const Download download = guest_->beginDownload(3, id, arguments, out);
            EXPECT_EQ(guest_->finishDownload(download).payloadBytes, out.size());
            EXPECT_EQ(out.back(), static_cast<std::byte>(i));
            break;
          }
          case 3:
            if (i % 50 == 3) EXPECT_EQ(guest_->waitRetired(id, last), Wait::Ready);
            [[fallthrough]];
          default:
            last = guest_->post(4, id, arguments);
        }
      }
      EXPECT_EQ(guest_->waitRetired(id, last), Wait::Ready);
      guest_->detachThread(id);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(ChannelTest, AFullRingMakesProducersWaitAndLosesNothing) {
  connectPair({.ringLines = 256, .eventLines = 256});
  constexpr uint64_t kRecords = 20'000;
  std::vector<std::thread> threads;
  for (uint16_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < kRecords / 4; ++i) guest_->post(1, t, pattern(i % 500, 1));
    });
  }
  std::this_thread::sleep_for(20ms);  // the ring is full by now, and its producers sleep
  std::atomic<uint64_t> seen{0};
  serve([&](IncomingRecord&) { ++seen; });
  for (std::thread& thread : threads) thread.join();
  guest_->flush();
  while (seen < kRecords) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(seen, kRecords);
}

TEST_P(ChannelTest, APostedRecordArrivesWithoutAnythingElseHappening) {
  connectPair();
  std::atomic<int> seen{0};
  serve([&](IncomingRecord&) { ++seen; });
  for (int i = 1; i <= 20; ++i) {
    std::this_thread::sleep_for(
        std::chrono::milliseconds(i % 4));  // the dispatcher is falling asleep, or asleep
    guest_->post(1, 0, bytesFrom("x"));
    const auto deadline = now() + 2s;
    while (seen < i && now() < deadline) std::this_thread::sleep_for(100us);
    ASSERT_EQ(seen, i);
  }
}

TEST_P(ChannelTest, RetiredNumbersAreReadAndWaitedFor) {
  connectPair();
  EXPECT_EQ(guest_->retired(5), 0u);
  EXPECT_EQ(guest_->waitRetired(5, 1, 2ms), Wait::TimedOut);
  // Several threads wait for different numbers of one stream.
  std::vector<std::thread> waiters;
  std::atomic<int> done{0};
  for (const uint64_t number : {10u, 20u, 30u, 30u, 5u}) {
    waiters.emplace_back([&, number] {
      EXPECT_EQ(guest_->waitRetired(5, number), Wait::Ready);
      EXPECT_GE(guest_->retired(5), number);
      ++done;
    });
  }
  // The byte stream needs its dispatcher to hear what the guest waits for.
  serve([](IncomingRecord&) {});
  for (uint64_t number = 1; number <= 30; ++number) {
    host_->retire(5, number);
    std::this_thread::sleep_for(500us);
  }
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(done, 5);
  const uint64_t large = uint64_t{1} << 32;  // whose low half is 0
  std::thread retiring([&] {
    std::this_thread::sleep_for(5ms);
    host_->retire(6, large - 1);
    std::this_thread::sleep_for(5ms);
    host_->retire(6, large);
  });
  EXPECT_EQ(guest_->waitRetired(6, large), Wait::Ready);
  retiring.join();
}

TEST_P(ChannelTest, EventsComeInOrderAlsoWhenTheGuestWasNotListening) {
  connectPair();
  serve([&](IncomingRecord& record) { host_->reply(record.replyTo(), 0, {}); });
  constexpr uint64_t kEvents = 5000;  // far more than the ring holds
  for (uint64_t i = 1; i <= kEvents; ++i)
    EXPECT_EQ(host_->postEvent(static_cast<uint16_t>(i % 7), pattern(i % 900, static_cast<unsigned>(i))), i);
  // After a reply everything that was posted before it is announced.
  guest_->call(1, 0, {}, {});
  EXPECT_EQ(guest_->eventsAnnounced(), kEvents);
  Event event;
  for (uint64_t i = 1; i <= kEvents; ++i) {
    ASSERT_EQ(guest_->waitEvent(event), Wait::Ready);
    EXPECT_EQ(event.sequence, i);
    EXPECT_EQ(event.kind, i % 7);
    EXPECT_EQ(event.bytes, pattern(i % 900, static_cast<unsigned>(i)));
  }
  EXPECT_EQ(guest_->waitEvent(event, 1ms), Wait::TimedOut);
}

TEST_P(ChannelTest, AWaitForEventsSleepsUntilOneComesOrItIsInterrupted) {
  connectPair();
  std::thread posting([&] {
    std::this_thread::sleep_for(10ms);
    host_->postEvent(1, bytesFrom("now"));
    std::this_thread::sleep_for(10ms);
    guest_->interruptEvents();
  });
  Event event;
  EXPECT_EQ(guest_->waitEvent(event), Wait::Ready);
  EXPECT_EQ(textFrom(event.bytes), "now");
  EXPECT_EQ(guest_->waitEvent(event), Wait::Interrupted);
  posting.join();
  guest_->interruptEvents();  // also when nobody waits yet
  EXPECT_EQ(guest_->waitEvent(event), Wait::Interrupted);
  EXPECT_EQ(guest_->waitEvent(event, 1ms), Wait::TimedOut);
}

TEST_P(ChannelTest, TheDispatcherCanBeInterruptedAndTimed) {
  connectPair();
  auto record = std::make_unique<IncomingRecord>();
  EXPECT_EQ(host_->next(*record, 3ms), Next::TimedOut);
  host_->interrupt();
  EXPECT_EQ(host_->next(*record), Next::Interrupted);
  std::thread interrupting([&] {
    std::this_thread::sleep_for(10ms);
    host_->interrupt();
  });
  EXPECT_EQ(host_->next(*record), Next::Interrupted);
  interrupting.join();
  EXPECT_EQ(host_->next(*record, 1ms), Next::TimedOut);
}

TEST_P(ChannelTest, ThreadIdsAreBoundedAndReused) {
  connectPair({.threads = 3});
  std::set<uint16_t> ids;
  for (int i = 0; i < 3; ++i) ids.insert(*guest_->attachThread());
  EXPECT_THAT(ids, ElementsAre(0, 1, 2));
  EXPECT_FALSE(guest_->attachThread());
  guest_->detachThread(1);
  EXPECT_EQ(guest_->attachThread(), 1);
}

TEST_P(ChannelTest, WhenTheHostEndsTheSessionEveryWaitReturnsLost) {
  connectPair();
  std::vector<std::thread> waiting;
  std::vector<std::byte> out(100'000);
  waiting.emplace_back([&] { EXPECT_TRUE(guest_->call(1, 0, {}, {}).lost); });
  waiting.emplace_back([&] { EXPECT_TRUE(guest_->call(1, 1, {}, std::span(out).first(1000)).lost); });
  waiting.emplace_back([&] { EXPECT_EQ(guest_->waitRetired(3, 1), Wait::Lost); });
  waiting.emplace_back([&] {
    Event event;
    EXPECT_EQ(guest_->waitEvent(event), Wait::Lost);
  });
  waiting.emplace_back([&] {
    EXPECT_TRUE(
        guest_->finishDownload(guest_->beginDownload(1, 2, {}, std::span(out).subspan(5000, 5000))).lost);
  });
  std::this_thread::sleep_for(20ms);
  const auto start = now();
  host_.reset();
  for (std::thread& thread : waiting) thread.join();
  EXPECT_LT(now() - start, 500ms);
  EXPECT_TRUE(guest_->lost());
  EXPECT_NE(guest_->lostReason(), "");
  EXPECT_EQ(guest_->post(1, 0, bytesFrom("x")), 0u);
  EXPECT_EQ(guest_->postWithData(1, 0, {}, out), 0u);
  EXPECT_TRUE(guest_->call(1, 0, {}, {}).lost);
  EXPECT_FALSE(guest_->attachThread());
}

TEST_P(ChannelTest, EventsPostedBeforeTheEndAreStillDelivered) {
  connectPair();
  host_->postEvent(4, bytesFrom("last words"));
  host_.reset();
  Event event;
  EXPECT_EQ(guest_->waitEvent(event), Wait::Ready);
  EXPECT_EQ(textFrom(event.bytes), "last words");
  EXPECT_EQ(guest_->waitEvent(event), Wait::Lost);
}

TEST_P(ChannelTest, RecordsPostedBeforeTheGuestWentAreStillDelivered) {
  connectPair();
  for (int i = 0; i < 100; ++i) guest_->post(1, 0, bytesFrom("x"));
  guest_->flush();
  guest_.reset();
  auto record = std::make_unique<IncomingRecord>();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(host_->next(*record), Next::Record);
  EXPECT_EQ(host_->next(*record), Next::Lost);
}

}  // namespace
}  // namespace vgpu::transport
