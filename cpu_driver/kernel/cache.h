// Compiled kernels on disk, one directory a tenant (the caller's, who alone may write it). Any thread, any
// number of processes. Files are untrusted: an entry holds the digest of its key and of its bytes, and is
// dropped when either is wrong. Every failure of the disk is a miss: the driver works without its cache.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cpu_driver/kernel/abi.h"
#include "cpu_driver/kernel/digest.h"
#include "cpu_driver/kernel/image.h"

namespace vgpu::kernel {

struct CacheKey {
  Digest module{};  // digestOf the PTX text, computed once a module
  std::string_view kernel;
  Dim3 block{0, 0, 0};     // as in the compiler's request
  Form form = Form::Auto;  // as asked for
  bool exactChecks = false;
};

// Of the key, this build of the driver and its compiler, and this processor's features.
Digest entryName(const CacheKey& key);

class ImageCache {
 public:
  static constexpr uint64_t kDefaultLimitBytes = uint64_t{512} << 20;

  // An empty directory turns the cache off. It is made when something is first put, readable by its owner
  // only.
  explicit ImageCache(std::string directory, uint64_t limitBytes = kDefaultLimitBytes)
      : directory_(std::move(directory)), limitBytes_(limitBytes) {}

  std::optional<std::vector<std::byte>> find(const CacheKey& key) const;
  // False when it was not kept. The least recently used entries go when the directory grows beyond its limit.
  bool put(const CacheKey& key, std::span<const std::byte> image) const;

 private:
  std::string pathOf(const Digest& name) const { return directory_ + "/" + hexOf(name) + ".image"; }
  void evict() const;

  std::string directory_;
  uint64_t limitBytes_;
};

}  // namespace vgpu::kernel
