#include "mediator/link/executor_arguments.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "mediator/link/encoding.h"

namespace vgpu::link {
namespace {

ExecutorArguments sampleArguments() {
  ExecutorArguments arguments;
  arguments.driverLibrary = "/usr/lib/vgpu-host/libvgpu-cpu-driver.so";
  arguments.readablePaths = {"/usr/lib/vgpu-host", "/opt"};
  arguments.limits.memoryBytes = uint64_t{80} << 30;
  arguments.limits.guestThreads = 7;
  arguments.workers = 2;
  arguments.cacheBytes = 1 << 30;
  arguments.hasCacheDirectory = true;
  arguments.logLevel = log::Level::Debug;
  arguments.logFormat = LogFormat::Json;
  return arguments;
}

// A memfd with any bytes, sealed as the daemon seals.
UniqueFd sealed(std::span<const std::byte> bytes,
                int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) {
  UniqueFd memfd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::pwrite(memfd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(::fcntl(memfd.get(), F_ADD_SEALS, seals), 0);
  return memfd;
}

std::vector<std::byte> contents(int memfd) {
  struct stat status;
  EXPECT_EQ(::fstat(memfd, &status), 0);
  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size));
  EXPECT_EQ(::pread(memfd, bytes.data(), bytes.size(), 0), status.st_size);
  return bytes;
}

TEST(ExecutorArguments, ArriveAsTheyWereSent) {
  const ExecutorArguments sent = sampleArguments();
  auto memfd = encodeArguments(sent);
  ASSERT_TRUE(memfd.ok());
  auto got = decodeArguments(memfd->get());
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_EQ(got->driverLibrary, sent.driverLibrary);
  EXPECT_EQ(got->readablePaths, sent.readablePaths);
  EXPECT_EQ(got->limits.memoryBytes, sent.limits.memoryBytes);
  EXPECT_EQ(got->limits.guestThreads, 7u);
  EXPECT_EQ(got->limits.ringLines, sent.limits.ringLines);
  EXPECT_EQ(got->workers, 2u);
  EXPECT_EQ(got->cacheBytes, sent.cacheBytes);
  EXPECT_TRUE(got->hasCacheDirectory);
  EXPECT_FALSE(got->strict);
  EXPECT_EQ(got->logLevel, log::Level::Debug);
  EXPECT_EQ(got->logFormat, LogFormat::Json);
}

TEST(ExecutorArguments, CannotBeChangedAfterwards) {
  auto memfd = encodeArguments(sampleArguments());
  ASSERT_TRUE(memfd.ok());
  EXPECT_LT(::pwrite(memfd->get(), "x", 1, 0), 0);
  EXPECT_LT(::ftruncate(memfd->get(), 0), 0);
}

TEST(ExecutorArguments, AreRefusedWithoutASeal) {
  auto memfd = encodeArguments(sampleArguments());
  auto copy = sealed(contents(memfd->get()), F_SEAL_SHRINK);
  EXPECT_FALSE(decodeArguments(copy.get()).ok());
}

TEST(ExecutorArguments, AreRefusedAtEveryCut) {
  auto memfd = encodeArguments(sampleArguments());
  const auto bytes = contents(memfd->get());
  for (size_t length = 0; length < bytes.size(); ++length) {
    auto cut = sealed(std::span(bytes).first(length));
    EXPECT_FALSE(decodeArguments(cut.get()).ok()) << length;
  }
}

TEST(ExecutorArguments, AreRefusedWithMoreBehindThem) {
  auto memfd = encodeArguments(sampleArguments());
  auto bytes = contents(memfd->get());
  bytes.resize(bytes.size() + 8);
  EXPECT_FALSE(decodeArguments(sealed(bytes).get()).ok());
}

TEST(ExecutorArguments, OfAnotherVersionAreNamedSo) {
  auto memfd = encodeArguments(sampleArguments());
  auto bytes = contents(memfd->get());
  bytes[0] = std::byte{0xff};
  auto got = decodeArguments(sealed(bytes).get());
  ASSERT_FALSE(got.ok());
  EXPECT_NE(got.error().cause.find("another version"), std::string::npos);
}

TEST(ExecutorArguments, ImpossibleLimitsAreNamed) {
  ExecutorArguments arguments = sampleArguments();
  arguments.limits.ringLines = 5000;
  auto got = decodeArguments(encodeArguments(arguments)->get());
  ASSERT_FALSE(got.ok());
  EXPECT_NE(got.error().cause.find("power of two"), std::string::npos);
}

TEST(Encoding, AReaderThatFailedStaysFailed) {
  Encoder out;
  out.word(5);
  out.word(6);
  Decoder in(out.bytes());
  EXPECT_EQ(in.word(4), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.word(), 0u);
  EXPECT_FALSE(in.atEnd());
}

TEST(Encoding, ALengthBeyondTheBytesIsRefused) {
  Encoder out;
  out.word(~uint64_t{0});
  Decoder in(out.bytes());
  EXPECT_EQ(in.text(SIZE_MAX), "");
  EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace vgpu::link
