#include "cpu_driver/kernel/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace vgpu::kernel {
namespace {

namespace fs = std::filesystem;

class ImageCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char text[] = "/tmp/vgpu-cache-test-XXXXXX";
    ASSERT_NE(mkdtemp(text), nullptr);
    directory_ = text;
  }
  void TearDown() override { fs::remove_all(directory_); }

  static CacheKey key(uint32_t n) { return {digestOf("module"), "kernel", {n, 1, 1}, Form::Auto, false}; }
  static std::vector<std::byte> image(size_t bytes, int fill) {
    return std::vector<std::byte>(bytes, std::byte(fill));
  }
  fs::path onlyEntry() {
    for (const auto& entry : fs::directory_iterator(directory_)) return entry.path();
    return {};
  }

  std::string directory_;
};

TEST_F(ImageCacheTest, FindsWhatWasPut) {
  const ImageCache cache(directory_ + "/a/b");
  EXPECT_FALSE(cache.find(key(1)));
  EXPECT_TRUE(cache.put(key(1), image(1000, 7)));
  EXPECT_EQ(cache.find(key(1)), image(1000, 7));
  EXPECT_FALSE(cache.find(key(2)));
}

TEST_F(ImageCacheTest, EveryPartOfTheKeyCounts) {
  const CacheKey base = key(1);
  CacheKey module = base, kernel = base, form = base, checks = base;
  module.module = digestOf("another");
  kernel.kernel = "kerne";
  form.form = Form::Fibers;
  checks.exactChecks = true;
  for (const CacheKey& other : {module, kernel, form, checks}) EXPECT_NE(entryName(base), entryName(other));
  EXPECT_EQ(entryName(base), entryName(key(1)));
}

TEST_F(ImageCacheTest, ACorruptEntryIsDropped) {
  const ImageCache cache(directory_);
  ASSERT_TRUE(cache.put(key(1), image(1000, 7)));
  const fs::path path = onlyEntry();
  for (const uintmax_t size : {fs::file_size(path) - 1, uintmax_t{10}, uintmax_t{0}}) {
    ASSERT_TRUE(cache.put(key(1), image(1000, 7)));
    fs::resize_file(path, size);
    EXPECT_FALSE(cache.find(key(1)));
    EXPECT_FALSE(fs::exists(path));
  }
  ASSERT_TRUE(cache.put(key(1), image(1000, 7)));
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(500).put('x');
  EXPECT_FALSE(cache.find(key(1)));
}

TEST_F(ImageCacheTest, AnEntryUnderAnotherNameIsNotBelieved) {
  const ImageCache cache(directory_);
  ASSERT_TRUE(cache.put(key(1), image(100, 1)));
  const fs::path first = onlyEntry();
  fs::rename(first, directory_ + "/" + hexOf(entryName(key(2))) + ".image");
  EXPECT_FALSE(cache.find(key(2)));
}

TEST_F(ImageCacheTest, ALinkIsNotFollowed) {
  const ImageCache cache(directory_);
  ASSERT_TRUE(cache.put(key(1), image(100, 1)));
  const fs::path path = onlyEntry();
  fs::rename(path, directory_ + "/elsewhere");
  fs::create_symlink(directory_ + "/elsewhere", path);
  EXPECT_FALSE(cache.find(key(1)));
}

TEST_F(ImageCacheTest, TheLeastRecentlyUsedGoFirst) {
  const ImageCache cache(directory_, 10'000);
  for (uint32_t n = 0; n < 9; ++n) {
    ASSERT_TRUE(cache.put(key(n), image(1000, 1)));
    usleep(5000);
    EXPECT_TRUE(cache.find(key(0)));
  }
  ASSERT_TRUE(cache.put(key(9), image(1000, 1)));
  EXPECT_TRUE(cache.find(key(0)));
  EXPECT_TRUE(cache.find(key(9)));
  EXPECT_FALSE(cache.find(key(1)));
}

TEST_F(ImageCacheTest, WithoutADirectoryItIsOff) {
  EXPECT_FALSE(ImageCache("").put(key(1), image(10, 1)));
  EXPECT_FALSE(ImageCache("").find(key(1)));
  EXPECT_FALSE(ImageCache("/proc/nowhere").put(key(1), image(10, 1)));
}

// A file that may not grow stands for a full disk.
TEST_F(ImageCacheTest, AFullDiskIsAMiss) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{500, 500};
    setrlimit(RLIMIT_FSIZE, &limit);
    const ImageCache cache(directory_);
    _exit(!cache.put(key(1), image(1000, 1)) && !cache.find(key(1)) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(ImageCacheTest, ProcessesWriteAndDeleteAtOnce) {
  std::vector<pid_t> children;
  for (int child = 0; child < 3; ++child) {
    const pid_t pid = fork();
    if (pid == 0) {
      const ImageCache cache(directory_, 20'000);
      bool right = true;
      for (uint32_t i = 0; i < 300; ++i) {
        const uint32_t n = i % 7;
        cache.put(key(n), image(3000 + n, static_cast<int>(n)));
        const auto found = cache.find(key((n + 3) % 7));
        right = right && (!found || *found == image(3000 + (n + 3) % 7, static_cast<int>((n + 3) % 7)));
        if (child == 0 && i % 50 == 0) {
          std::error_code ignored;
          for (const auto& entry : fs::directory_iterator(directory_, ignored))
            fs::remove(entry.path(), ignored);
        }
      }
      _exit(right ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
}

TEST(Digest, IsSha256) {
  EXPECT_EQ(hexOf(digestOf("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hexOf(digestOf("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hexOf(digestOf(std::string(1000, 'a'))),
            hexOf(Sha256().add(std::string(999, 'a')).add(std::string(1, 'a')).finish()));
}

}  // namespace
}  // namespace vgpu::kernel
