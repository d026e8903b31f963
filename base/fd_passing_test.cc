#include "base/fd_passing.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace vgpu {
namespace {

struct SocketPair {
  UniqueFd left, right;
  SocketPair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    left.reset(fds[0]);
    right.reset(fds[1]);
  }
};

ino_t inodeOf(int fd) {
  struct stat status;
  EXPECT_EQ(::fstat(fd, &status), 0);
  return status.st_ino;
}

TEST(FdPassing, DescriptorArrivesAsTheSameFile) {
  SocketPair sockets;
  int pipeFds[2];
  ASSERT_EQ(::pipe(pipeFds), 0);
  UniqueFd reader(pipeFds[0]), writer(pipeFds[1]);
  const std::byte payload[3] = {std::byte{1}, std::byte{2}, std::byte{3}};
  const int sent[] = {reader.get()};
  ASSERT_TRUE(sendWithFds(sockets.left.get(), payload, sent).ok());

  std::byte into[8];
  auto received = receiveWithFds(sockets.right.get(), into);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->sizeBytes, 3u);
  ASSERT_EQ(received->fds.size(), 1u);
  EXPECT_EQ(inodeOf(received->fds[0].get()), inodeOf(reader.get()));
}

TEST(FdPassing, ClosedPeerIsZeroBytes) {
  SocketPair sockets;
  sockets.left.reset();
  std::byte into[8];
  auto received = receiveWithFds(sockets.right.get(), into);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->sizeBytes, 0u);
}

TEST(FdPassing, TooManyDescriptorsAreRefusedBeforeSending) {
  SocketPair sockets;
  const std::vector<int> many(kMaxPassedFds + 1, sockets.left.get());
  const std::byte payload[1] = {};
  EXPECT_FALSE(sendWithFds(sockets.left.get(), payload, many).ok());
}

}  // namespace
}  // namespace vgpu
