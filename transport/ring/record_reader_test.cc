// Every way in which a record can lie about itself.
#include "transport/ring/record_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "transport/ring/record_writer.h"

namespace vgpu::transport {
namespace {

class RecordReaderTest : public testing::Test {
 protected:
  // Writes a record of `shape`, lets `lie` change its bytes, and reads it.
  template <class Lie>
  const char* readAfter(const RecordShape& shape, Lie&& lie, uint64_t sequence = 1) {
    std::memset(storage, 0xee, kMaxRecordLines * kLineBytes);
    writeHeader(storage, shape, sequence);
    lie();
    return RecordReader::read(*record, shape.lines(), 1, limits);
  }
  RecordHeader& header() { return *reinterpret_cast<RecordHeader*>(storage); }
  AttachmentHeader& attached() {
    return *reinterpret_cast<AttachmentHeader*>(storage + sizeof(RecordHeader));
  }

  ChannelLimits limits;
  std::unique_ptr<IncomingRecord> record = std::make_unique<IncomingRecord>();
  std::byte* storage = RecordReader::storage(*record);
  const RecordShape plain{.call = 7, .thread = 3, .argumentBytes = 100};
  const RecordShape upload{
      .call = 7, .thread = 3, .attachment = Attachment::Upload, .argumentBytes = 5, .dataBytes = 300};
  const RecordShape slotted{.call = 7,
                            .thread = 3,
                            .slot = 4,
                            .attachment = Attachment::Download,
                            .argumentBytes = 5,
                            .dataBytes = 9000};
};

TEST_F(RecordReaderTest, WhatWasWrittenIsRead) {
  EXPECT_EQ(readAfter(plain, [] {}), nullptr);
  EXPECT_EQ(record->call(), 7);
  EXPECT_EQ(record->thread(), 3);
  EXPECT_EQ(record->arguments().size(), 100u);
  EXPECT_EQ(readAfter(upload, [] {}), nullptr);
  EXPECT_EQ(record->arguments().size(), 5u);
  EXPECT_EQ(record->data().size(), 300u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(record->data().data()) % 8, 0u);
  EXPECT_EQ(readAfter(slotted, [] {}), nullptr);
  EXPECT_EQ(record->slot(), 4);
  EXPECT_EQ(record->dataBytes(), 9000u);
  EXPECT_EQ(record->replyTo().slotBytes, 9000u);
}

TEST_F(RecordReaderTest, HeadersThatLieAreRefused) {
  EXPECT_NE(readAfter(plain, [&] { header().lines = 1; }), nullptr);
  EXPECT_NE(readAfter(plain, [&] { header().call = kPadCall; }), nullptr);
  EXPECT_NE(readAfter(plain, [&] { header().thread = 1024; }), nullptr);
  EXPECT_NE(readAfter(plain, [&] { header().slot = 0; }), nullptr);
  EXPECT_NE(readAfter(plain, [] {}, 2), nullptr);
  EXPECT_NE(readAfter({.argumentBytes = 0}, [&] { header().flags = makeFlags(Attachment::None, 60); }),
            nullptr);
  EXPECT_NE(readAfter(plain, [&] { header().flags = makeFlags(static_cast<Attachment>(3), 0); }), nullptr);
}

TEST_F(RecordReaderTest, AttachmentsThatLieAreRefused) {
  EXPECT_NE(readAfter(upload, [&] { attached().argumentBytes = 0xffffffff; }), nullptr);
  EXPECT_NE(readAfter(upload, [&] { attached().argumentBytes = 320; }), nullptr);
  EXPECT_NE(readAfter(upload, [&] { attached().dataBytes = 0xffffffff; }), nullptr);
  EXPECT_NE(readAfter(upload, [&] { attached().dataBytes = 400; }), nullptr);
  EXPECT_NE(readAfter(upload, [&] { header().slot = 16; }), nullptr);
  EXPECT_NE(readAfter(slotted, [&] { attached().dataBytes = limits.slotBytes + 1; }), nullptr);
  EXPECT_NE(readAfter(slotted, [&] { header().slot = kNoSlot; }), nullptr);
  EXPECT_NE(readAfter({.argumentBytes = 0}, [&] { header().flags = makeFlags(Attachment::Upload, 44); }),
            nullptr);
}

}  // namespace
}  // namespace vgpu::transport
