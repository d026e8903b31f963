#include "mediator/executor/module_image.h"

#include <gtest/gtest.h>

#include <cstring>

namespace vgpu::executor {
namespace {

constexpr size_t kPadding = 64;

std::vector<std::byte> container(uint64_t bodyBytes, uint64_t claimedBytes) {
  struct {
    uint32_t magic = 0xba55ed50;
    uint16_t version = 1, headerBytes = 16;
    uint64_t bodyBytes;
  } header;
  header.bodyBytes = claimedBytes;
  std::vector<std::byte> bytes(sizeof header + bodyBytes);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}
std::vector<std::byte> container(uint64_t bodyBytes) { return container(bodyBytes, bodyBytes); }

ModuleImage image(const std::vector<std::vector<std::byte>>& parts) {
  std::vector<std::byte> bytes;
  for (const auto& part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
  bytes.resize(bytes.size() + kPadding);
  return {std::move(bytes), kPadding};
}

uint32_t magicOf(const void* pointer) {
  uint32_t magic;
  std::memcpy(&magic, pointer, sizeof magic);
  return magic;
}

TEST(ModuleImage, OneFatBinaryIsGivenAsItIs) {
  const ModuleImage one = image({container(40)});
  EXPECT_EQ(magicOf(one.forDriver()), 0xba55ed50u);
}

TEST(ModuleImage, SeveralAreWrappedAsTheObjectsOfOneModule) {
  ModuleImage made = image({container(0), container(40), container(8)});
  const ModuleImage moved = std::move(made);
  struct {
    uint32_t magic, version;
    const std::byte* linked;
    const std::byte* const* objects;
  } wrapper;
  std::memcpy(&wrapper, moved.forDriver(), sizeof wrapper);
  EXPECT_EQ(wrapper.magic, 0x466243b1u);
  EXPECT_EQ(wrapper.version, 2u);
  EXPECT_EQ(wrapper.objects[0], wrapper.linked + 16);
  EXPECT_EQ(wrapper.objects[1], wrapper.linked + 16 + 56);
  EXPECT_EQ(wrapper.objects[2], nullptr);
}

// The driver reads such an image with the padding behind it, as any that promises more than was sent.
TEST(ModuleImage, SizesThatLieMakeNoList) {
  for (const auto& parts : {std::vector{container(0), container(8, 9)},
                            {container(0), container(8, UINT64_MAX)},
                            {container(0), std::vector<std::byte>(3)},
                            {container(8, 100), container(0)}})
    EXPECT_EQ(magicOf(image(parts).forDriver()), 0xba55ed50u);
}

TEST(ModuleImage, AWrapperFromTheGuestHoldsItsPointers) {
  std::vector<std::byte> bytes(24);
  const uint32_t magic = 0x466243b1;
  std::memcpy(bytes.data(), &magic, sizeof magic);
  EXPECT_TRUE(ModuleImage::holdsPointers(bytes));
  EXPECT_FALSE(ModuleImage::holdsPointers(container(8)));
  EXPECT_FALSE(ModuleImage::holdsPointers({}));
}

}  // namespace
}  // namespace vgpu::executor
