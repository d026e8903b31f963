// Bytes as a fat binary: parsing and decompressing stay within the bytes given and within the limit.
#include "cpu_driver/runtime/fat_binary.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto images = vgpu::fat_binary::parse(std::as_bytes(std::span(data, size)));
  if (!images) return 0;
  vgpu::fat_binary::choosePtx(*images, {90, 'a'});
  for (const auto& image : *images) (void)vgpu::fat_binary::contents(image, size_t{1} << 20);
  return 0;
}
