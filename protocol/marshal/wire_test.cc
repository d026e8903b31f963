#include "protocol/marshal/wire.h"

#include <gtest/gtest.h>

#include <array>

namespace vgpu::protocol {
namespace {

TEST(Wire, ValuesRoundTripAtTheirNaturalAlignment) {
  std::array<std::byte, 64> space;
  Encoder out(space);
  out.put(uint8_t{7});
  out.put(uint64_t{0x1122334455667788});
  out.putString("kernel");
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out.sizeBytes(), 16u + 4u + 6u);

  Decoder in(out.bytes());
  EXPECT_EQ(in.get<uint8_t>(), 7);
  EXPECT_EQ(in.get<uint64_t>(), 0x1122334455667788u);
  EXPECT_EQ(in.getString(16), "kernel");
  EXPECT_FALSE(in.failed());
}

TEST(Wire, PaddingCarriesNoGuestMemory) {
  std::array<std::byte, 16> space;
  space.fill(std::byte{0xaa});
  Encoder out(space);
  out.put(uint8_t{1});
  out.put(uint64_t{2});
  for (int i = 1; i < 8; ++i) EXPECT_EQ(space[static_cast<size_t>(i)], std::byte{0});
}

TEST(Wire, OverflowOfTheEncoderIsRememberedAndNotWritten) {
  std::array<std::byte, 4> space{};
  Encoder out(space);
  out.put(uint64_t{1});
  EXPECT_FALSE(out.ok());
  EXPECT_EQ(out.sizeBytes(), 0u);
}

TEST(Wire, DecoderStaysFailedAfterTheFirstViolation) {
  const std::array<std::byte, 8> bytes{};
  Decoder in(bytes);
  in.get<uint64_t>();
  EXPECT_EQ(in.get<uint32_t>(), 0u);
  EXPECT_TRUE(in.failed());
  EXPECT_TRUE(in.rest().empty());
}

TEST(Wire, LengthThatExceedsItsBoundFails) {
  std::array<std::byte, 64> space;
  Encoder out(space);
  out.putString("twelve bytes");
  Decoder in(out.bytes());
  in.getString(11);
  EXPECT_TRUE(in.failed());
}

TEST(Wire, LengthThatExceedsTheRecordFails) {
  std::array<std::byte, 8> space;
  Encoder out(space);
  out.put(uint32_t{1000});
  Decoder in(out.bytes());
  EXPECT_TRUE(in.getBytes(4096).empty());
  EXPECT_TRUE(in.failed());
}

}  // namespace
}  // namespace vgpu::protocol
