#include "cpu_driver/kernel/cache.h"

#include <cpuid.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/unique_fd.h"

#ifndef VGPU_VERSION
#define VGPU_VERSION "0"
#endif

namespace vgpu::kernel {
namespace {

constexpr uint32_t kEntryMagic = 0x454b'4756;  // "VGKE"
constexpr uint64_t kMaxEntryBytes = uint64_t{256} << 20;
constexpr time_t kAbandonedSeconds = 3600;  // a temporary file that old has no writer any more

struct EntryHeader {
  uint32_t magic = kEntryMagic;
  uint32_t abiVersion = kAbiVersion;
  Digest key{};
  Digest content{};
  uint64_t bytes = 0;
};

// What code for this processor depends on: its signature and its feature leaves.
void addProcessor(Sha256& hash) {
  for (const auto& [leaf, subleaf] : {std::pair{0u, 0u}, {1u, 0u}, {7u, 0u}, {7u, 1u}, {0x80000001u, 0u}}) {
    std::array<uint32_t, 4> registers{};
    __get_cpuid_count(leaf, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]);
    if (leaf == 1)
      registers[1] &= 0x00ff'ffff;  // without the number of the processor that we happen to run on
    if (leaf == 1) registers[2] &= ~(1u << 27);  // nor the operating system's own bit
    hash.addValue(registers);
  }
}

// Which build wrote the code: a version number alone does not change when the compiler is rebuilt or
// replaced.
void addBuild(Sha256& hash) {
  struct Stamp {
    uint64_t bytes = 0, seconds = 0, nanoseconds = 0;
  };
  static const std::array<Stamp, 2> stamps = [] {
    std::array<Stamp, 2> found{};
    Dl_info info;
    if (dladdr(reinterpret_cast<const void*>(&entryName), &info) == 0 || !info.dli_fname) return found;
    char* resolved = realpath(info.dli_fname, nullptr);
    const std::string own = resolved ? resolved : info.dli_fname;
    std::free(resolved);
    const std::string compiler = own.substr(0, own.rfind('/') + 1) + "libvgpu-jit.so";
    for (size_t i = 0; i < found.size(); ++i) {
      struct stat status;
      if (stat(i == 0 ? own.c_str() : compiler.c_str(), &status) != 0) continue;
      found[i] = {static_cast<uint64_t>(status.st_size), static_cast<uint64_t>(status.st_mtim.tv_sec),
                  static_cast<uint64_t>(status.st_mtim.tv_nsec)};
    }
    return found;
  }();
  hash.addValue(stamps);
}

std::optional<std::vector<std::byte>> readAll(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info;
  if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  if (info.st_size < 0 || static_cast<uint64_t>(info.st_size) > kMaxEntryBytes) return std::nullopt;
  std::vector<std::byte> bytes(static_cast<size_t>(info.st_size));
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t got = read(file.get(), bytes.data() + at, bytes.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    at += static_cast<size_t>(got);
  }
  futimens(file.get(), nullptr);  // used now: the last to be evicted
  return bytes;
}

bool writeAll(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return true;
}

bool makeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    if (mkdir(path.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) return false;
    if (slash == std::string::npos) return true;
  }
}

struct Entry {
  std::string path;
  uint64_t bytes = 0;
  timespec used{};
};

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

Digest entryName(const CacheKey& key) {
  Sha256 hash;
  hash.add(std::string_view("vgpu kernel image " VGPU_VERSION)).addValue(kAbiVersion).addValue(key.module);
  hash.addValue(uint64_t{key.kernel.size()}).add(key.kernel);
  hash.addValue(std::array<uint32_t, 5>{key.block.x, key.block.y, key.block.z,
                                        static_cast<uint32_t>(key.form), key.exactChecks});
  addBuild(hash);
  addProcessor(hash);
  return hash.finish();
}

std::optional<std::vector<std::byte>> ImageCache::find(const CacheKey& key) const {
  if (directory_.empty()) return std::nullopt;
  const Digest name = entryName(key);
  auto bytes = readAll(pathOf(name));
  if (!bytes) return std::nullopt;
  EntryHeader header;
  if (bytes->size() >= sizeof header) {
    std::memcpy(&header, bytes->data(), sizeof header);
    const std::span<const std::byte> content(bytes->data() + sizeof header, bytes->size() - sizeof header);
    if (header.magic == kEntryMagic && header.abiVersion == kAbiVersion && header.key == name &&
        header.bytes == content.size() && Sha256().add(content).finish() == header.content)
      return std::vector<std::byte>(content.begin(), content.end());
  }
  unlink(pathOf(name).c_str());
  return std::nullopt;
}

bool ImageCache::put(const CacheKey& key, std::span<const std::byte> image) const {
  if (directory_.empty() || image.size() + sizeof(EntryHeader) > kMaxEntryBytes) return false;
  if (!makeDirectories(directory_)) return false;
  static std::atomic<uint32_t> serial{0};
  EntryHeader header;
  header.key = entryName(key);
  header.content = Sha256().add(image).finish();
  header.bytes = image.size();
  const std::string temporary =
      directory_ + "/" + std::to_string(getpid()) + "." + std::to_string(serial++) + ".part";
  const UniqueFd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return false;
  // A reader sees the whole entry or none: what a crash leaves half written does not match its digest.
  const bool written = writeAll(file.get(), std::as_bytes(std::span(&header, 1))) &&
                       writeAll(file.get(), image) &&
                       rename(temporary.c_str(), pathOf(header.key).c_str()) == 0;
  if (!written) unlink(temporary.c_str());
  evict();
  return written;
}

void ImageCache::evict() const {
  DIR* directory = opendir(directory_.c_str());
  if (!directory) return;
  std::vector<Entry> entries;
  uint64_t total = 0;
  const time_t now = time(nullptr);
  while (const dirent* found = readdir(directory)) {
    const std::string path = directory_ + "/" + found->d_name;
    struct stat info;
    if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (endsWith(path, ".part") && info.st_mtime + kAbandonedSeconds < now) unlink(path.c_str());
    if (!endsWith(path, ".image")) continue;
    entries.push_back({path, static_cast<uint64_t>(info.st_size), info.st_mtim});
    total += entries.back().bytes;
  }
  closedir(directory);
  if (total <= limitBytes_) return;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  // Somewhat below the limit, so that not every further entry scans for a victim.
  const uint64_t wanted = limitBytes_ / 10 * 9;
  for (const Entry& entry : entries) {
    if (total <= wanted) return;
    if (unlink(entry.path.c_str()) == 0 || errno == ENOENT) total -= entry.bytes;
  }
}

}  // namespace vgpu::kernel
