#include "cpu_driver/runtime/fat_binary.h"

#include <gtest/gtest.h>
#include <lz4.h>
#include <zstd.h>

#include <cstring>

namespace vgpu::fat_binary {
namespace {

const std::string kPtx = ".version 9.0\n.target sm_80\n.address_size 64\n" + std::string(400, ' ');

void append(std::string& to, const void* bytes, size_t n) { to.append(static_cast<const char*>(bytes), n); }

std::string entry(uint16_t kind, uint32_t architecture, uint64_t flags, std::string payload,
                  uint64_t uncompressed) {
  const auto compressed = static_cast<uint32_t>(uncompressed ? payload.size() : 0);
  payload.resize((payload.size() + 7) & ~size_t{7});
  const uint64_t size = payload.size(), zero = 0;
  const uint16_t attributes = 0x101, minor = 0, major = 9;
  const uint32_t header = 64, options = 0, none = 0;
  std::string out;
  append(out, &kind, 2), append(out, &attributes, 2), append(out, &header, 4), append(out, &size, 8);
  append(out, &compressed, 4), append(out, &options, 4), append(out, &minor, 2), append(out, &major, 2);
  append(out, &architecture, 4), append(out, &none, 4), append(out, &none, 4), append(out, &flags, 8);
  append(out, &zero, 8), append(out, &uncompressed, 8);
  return out + payload;
}

std::string container(const std::string& entries) {
  std::string out;
  const uint32_t magic = kContainerMagic;
  const uint16_t version = 1, header = 16;
  const uint64_t size = entries.size();
  append(out, &magic, 4), append(out, &version, 2), append(out, &header, 2), append(out, &size, 8);
  return out + entries;
}

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string lz4(const std::string& text) {
  std::string out(static_cast<size_t>(LZ4_compressBound(static_cast<int>(text.size()))), '\0');
  out.resize(static_cast<size_t>(LZ4_compress_default(text.data(), out.data(), static_cast<int>(text.size()),
                                                      static_cast<int>(out.size()))));
  return out;
}

TEST(FatBinary, EveryCompressionGivesTheSameText) {
  const std::string whole =
      container(entry(1, 80, 0x11, kPtx, 0) + entry(1, 80, 0x2011, lz4(kPtx), kPtx.size()) +
                entry(1, 80, 0x8011, zstd(kPtx), kPtx.size()));
  auto images = parse(bytes(whole));
  ASSERT_TRUE(images.ok()) << images.error().message();
  ASSERT_EQ(images->size(), 3u);
  for (const Image& image : *images) {
    auto text = contents(image);
    ASSERT_TRUE(text.ok()) << text.error().message();
    EXPECT_EQ(*text, kPtx);
  }
}

TEST(FatBinary, TheNewestPtxNotNewerThanTheDeviceIsChosen) {
  const std::string whole = container(entry(2, 80, 0x11, "machine code", 0) + entry(1, 75, 0x11, "a", 0) +
                                      entry(1, 90, 0x11, "b", 0) + entry(1, 100, 0x11, "c", 0));
  auto images = parse(bytes(whole));
  ASSERT_TRUE(images.ok());
  EXPECT_EQ(choosePtx(*images, {90, 'a'}), 2u);
  EXPECT_EQ(choosePtx(*images, {80, 0}), 1u);
  EXPECT_EQ(choosePtx(*images, {70, 0}), std::nullopt);
}

TEST(FatBinary, ArchitectureSpecificPtxIsForExactlyThatArchitecture) {
  const std::string whole =
      container(entry(1, 90, 0x11, "b", 0) + entry(1, 90, 0x100011, "a", 0) + entry(1, 80, 0x200011, "f", 0));
  auto images = parse(bytes(whole));
  ASSERT_TRUE(images.ok());
  EXPECT_EQ(choosePtx(*images, {90, 'a'}), 1u);
  EXPECT_EQ(choosePtx(*images, {90, 0}), 0u);
  EXPECT_EQ(choosePtx(*images, {89, 0}), std::nullopt);
}

TEST(FatBinary, SizesThatLieAreRefused) {
  const std::string good = container(entry(1, 80, 0x8011, zstd(kPtx), kPtx.size()));
  for (size_t cut = 0; cut < good.size(); ++cut) EXPECT_FALSE(parse(bytes(good.substr(0, cut))).ok()) << cut;
  std::string longer = good;
  uint64_t huge = uint64_t{1} << 40;
  std::memcpy(longer.data() + 16 + 56, &huge, sizeof huge);
  auto images = parse(bytes(longer));
  ASSERT_TRUE(images.ok());
  EXPECT_FALSE(contents(images->front()).ok());
  EXPECT_FALSE(contents(images->front(), 10).ok());
  uint64_t wrong = kPtx.size() + 1;
  std::memcpy(longer.data() + 16 + 56, &wrong, sizeof wrong);
  EXPECT_FALSE(contents(parse(bytes(longer))->front()).ok());
}

TEST(FatBinary, AWrapperLeadsToItsModuleAndItsObjects) {
  const std::string first = container(entry(1, 80, 0x11, "a", 0)),
                    second = container(entry(1, 90, 0x11, "b", 0));
  struct {
    uint32_t magic = kWrapperMagic, version = 1;
    const void* data = nullptr;
    const void* const* list = nullptr;
  } wrapper;
  wrapper.data = first.data();
  ASSERT_TRUE(isWrapper(&wrapper));
  EXPECT_EQ(unwrap(&wrapper)->module.data(), reinterpret_cast<const std::byte*>(first.data()));
  EXPECT_TRUE(unwrap(&wrapper)->objects.empty());
  const void* const list[] = {second.data(), first.data(), nullptr};
  wrapper.version = 2;
  wrapper.list = list;
  auto linked = unwrap(&wrapper);
  ASSERT_TRUE(linked.ok());
  EXPECT_EQ(linked->module.data(), reinterpret_cast<const std::byte*>(first.data()));
  ASSERT_EQ(linked->objects.size(), 2u);
  EXPECT_EQ(linked->objects[0].data(), reinterpret_cast<const std::byte*>(second.data()));
  wrapper.version = 7;
  EXPECT_FALSE(unwrap(&wrapper).ok());
}

}  // namespace
}  // namespace vgpu::fat_binary
