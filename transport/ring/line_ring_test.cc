// The two ends of one ring, and what a lying peer can do to each.
#include "transport/ring/line_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "transport/ring/record_writer.h"

namespace vgpu::transport {
namespace {

constexpr uint32_t kLines = 256;

class LineRingTest : public testing::Test {
 protected:
  bool produce(size_t lines, uint64_t sequence) {
    std::byte* place = producer.place(lines, sequence);
    if (!place) return false;
    const RecordHeader header{
        static_cast<uint16_t>(sequence % 1000), static_cast<uint8_t>(lines), 0, 0, kNoSlot, sequence};
    std::memset(place, static_cast<int>(sequence), lines * kLineBytes);
    std::memcpy(place, &header, sizeof header);
    producer.publish(lines);
    return true;
  }
  LineConsumer::Take consume() { return consumer.take(into.data()); }
  RecordHeader header() const {
    RecordHeader header;
    std::memcpy(&header, into.data(), sizeof header);
    return header;
  }

  alignas(64) std::array<std::byte, kLines * kLineBytes> ring{};
  uint64_t produced = 0, consumed = 0;
  LineProducer producer{ring.data(), kLines, &produced, &consumed};
  LineConsumer consumer{ring.data(), kLines, &produced, &consumed};
  std::array<std::byte, kMaxRecordLines * kLineBytes> into;
};

TEST_F(LineRingTest, AnEmptyRingIsEmpty) {
  EXPECT_EQ(consume(), LineConsumer::Take::Empty);
  EXPECT_FALSE(consumer.more());
}

TEST_F(LineRingTest, RecordsOfAllLengthsComeBackInOnePieceAcrossTheEnd) {
  for (uint64_t sequence = 1; sequence <= 5000; ++sequence) {
    const size_t lines = 1 + sequence * 7 % kMaxRecordLines;
    ASSERT_TRUE(produce(lines, sequence));
    ASSERT_EQ(consume(), LineConsumer::Take::Record);
    EXPECT_EQ(header().sequence, sequence);
    EXPECT_EQ(consumer.lines(), lines);
    EXPECT_EQ(into[lines * kLineBytes - 1],
              lines * kLineBytes == sizeof(RecordHeader) ? into[0] : static_cast<std::byte>(sequence));
    consumer.tellConsumed();
  }
}

TEST_F(LineRingTest, AFullRingTakesNoMoreUntilTheConsumerTells) {
  uint64_t sequence = 0;
  while (produce(4, sequence + 1)) ++sequence;
  EXPECT_EQ(sequence, kLines / 4);
  ASSERT_EQ(consume(), LineConsumer::Take::Record);
  consumer.tellConsumed();
  EXPECT_TRUE(produce(4, sequence + 1));
  EXPECT_FALSE(produce(4, sequence + 2));
}

TEST_F(LineRingTest, OneThreadProducesWhileAnotherConsumes) {
  constexpr uint64_t kRecords = 200'000;
  std::thread producing([&] {
    for (uint64_t sequence = 1; sequence <= kRecords;) {
      if (produce(1 + sequence % 5, sequence))
        ++sequence;
      else
        std::this_thread::yield();
    }
  });
  for (uint64_t sequence = 1; sequence <= kRecords;) {
    const LineConsumer::Take take = consume();
    if (take == LineConsumer::Take::Record) {
      ASSERT_EQ(header().sequence, sequence);
      ASSERT_EQ(into[consumer.lines() * kLineBytes - 1], static_cast<std::byte>(sequence));
      ++sequence;
    } else {
      ASSERT_EQ(take, LineConsumer::Take::Empty);
      consumer.tellConsumed();
      std::this_thread::yield();
    }
  }
  producing.join();
}

// ---- lies

TEST_F(LineRingTest, AProducerIndexBeyondTheRingIsBroken) {
  produced = kLines + 1;
  EXPECT_EQ(consume(), LineConsumer::Take::Broken);
}

TEST_F(LineRingTest, AProducerIndexThatGoesBackIsBroken) {
  ASSERT_TRUE(produce(8, 1));
  ASSERT_EQ(consume(), LineConsumer::Take::Record);
  produced = 3;
  EXPECT_EQ(consume(), LineConsumer::Take::Broken);
}

TEST_F(LineRingTest, LengthsThatLieAreBroken) {
  for (const uint8_t lines : {uint8_t{0}, uint8_t{3}, uint8_t{129}, uint8_t{255}}) {
    const RecordHeader header{1, lines, 0, 0, kNoSlot, 1};
    std::memcpy(ring.data(), &header, sizeof header);
    produced = lines == 3 ? 2 : 200;
    LineConsumer fresh(ring.data(), kLines, &produced, &consumed);
    EXPECT_EQ(fresh.take(into.data()), LineConsumer::Take::Broken) << int{lines};
  }
}

TEST_F(LineRingTest, ARecordThatWouldWrapIsBroken) {
  for (uint64_t sequence = 1; sequence <= 2; ++sequence) {
    ASSERT_TRUE(produce(125, sequence));
    ASSERT_EQ(consume(), LineConsumer::Take::Record);
  }
  const RecordHeader header{1, 20, 0, 0, kNoSlot, 3};
  std::memcpy(ring.data() + 250 * kLineBytes, &header, sizeof header);
  produced = 270;
  EXPECT_EQ(consume(), LineConsumer::Take::Broken);
}

TEST_F(LineRingTest, FillersElsewhereThanAtTheEndAreBroken) {
  const RecordHeader filler{kPadCall, 1, 0, kNoThread, kNoSlot, 1};
  std::memcpy(ring.data(), &filler, sizeof filler);
  produced = 1;
  EXPECT_EQ(consume(), LineConsumer::Take::Broken);
}

TEST_F(LineRingTest, AConsumerIndexThatLiesOnlyStopsItsOwnProducer) {
  consumed = 1000;  // more than was ever produced
  uint64_t sequence = 0;
  while (sequence < 1000 && produce(8, sequence + 1)) ++sequence;
  EXPECT_LE(sequence, kLines / 8);
}

}  // namespace
}  // namespace vgpu::transport
