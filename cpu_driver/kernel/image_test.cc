// The loader against blobs that lie. A blob may come from a cache file; its header is all that the loader
// believes.
#include "cpu_driver/kernel/image.h"

#include <gtest/gtest.h>

#include <cstring>

namespace vgpu::kernel {
namespace {

// A whole image whose code is `ret`.
std::vector<std::byte> blobOf(ImageHeader header, uint32_t import = 0) {
  std::vector<std::byte> blob(header.totalBytes);
  std::memcpy(blob.data(), &header, sizeof header);
  std::memcpy(blob.data() + sizeof header, &import, sizeof import);
  if (header.codeOffset < blob.size()) blob[header.codeOffset] = std::byte{0xc3};
  return blob;
}

ImageHeader goodHeader() {
  ImageHeader header;
  header.form = static_cast<uint32_t>(Form::Loops);
  header.codeOffset = 4096;
  header.codeBytes = 100;
  header.constantsOffset = 8192;
  header.constantsBytes = 10;
  header.totalBytes = 8202;
  header.importTableOffset = 12288;
  header.importCount = 1;
  return header;
}

TEST(Image, AWholeOneLoadsAndRuns) {
  const auto image = loadImage(blobOf(goodHeader()));
  ASSERT_TRUE(image);
  EXPECT_TRUE((*image.value()).contains(reinterpret_cast<uintptr_t>((*image.value()).entry())));
  reinterpret_cast<void (*)()>(reinterpret_cast<uintptr_t>((*image.value()).entry()))();
}

TEST(Image, LiesInTheHeaderAreRefused) {
  const auto refused = [](auto change) {
    ImageHeader header = goodHeader();
    const auto blob = blobOf(header);
    change(header);
    auto changed = blob;
    std::memcpy(changed.data(), &header, sizeof header);
    return !loadImage(changed).ok();
  };
  EXPECT_TRUE(refused([](ImageHeader& h) { h.magic = 1; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.abiVersion++; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.form = 0; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.form = 77; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.totalBytes++; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.codeOffset = 0; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.codeOffset = 4097; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.codeBytes = 0; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.codeBytes = 0xffff'ffff; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.constantsBytes = 0xffff'f000; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.constantsOffset = 0xffff'f000; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.importTableOffset = 4096; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.importCount = 0xffff'ffff; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.entryOffset = 100; }));
  EXPECT_TRUE(refused([](ImageHeader& h) { h.scratchBytes = 0xffff'ffff; }));
}

TEST(Image, AnUnknownImportIsRefused) { EXPECT_FALSE(loadImage(blobOf(goodHeader(), 9999)).ok()); }

TEST(Image, EveryTruncationIsRefused) {
  const auto blob = blobOf(goodHeader());
  for (size_t size = 0; size < blob.size(); size += 37) EXPECT_FALSE(loadImage({blob.data(), size}).ok());
}

}  // namespace
}  // namespace vgpu::kernel
