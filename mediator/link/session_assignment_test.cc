#include "mediator/link/session_assignment.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace vgpu::link {
namespace {

struct ControlPair {
  UniqueFd daemon, executor;
  ControlPair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    daemon.reset(fds[0]);
    executor.reset(fds[1]);
  }
};

TEST(SessionAssignment, BringsTheGuestsSocket) {
  ControlPair control;
  ControlPair guest;
  ASSERT_TRUE(assignSession(control.daemon.get(), {42, GuestSocket::Tcp, "tcp:127.0.0.1:7000", 1000, -1},
                            guest.daemon.get())
                  .ok());
  auto session = receiveSession(control.executor.get());
  ASSERT_TRUE(session.ok()) << session.error().message();
  ASSERT_TRUE(session->has_value());
  EXPECT_EQ((*session)->assignment.sessionId, 42u);
  EXPECT_EQ((*session)->assignment.socket, GuestSocket::Tcp);
  EXPECT_EQ((*session)->assignment.endpoint, "tcp:127.0.0.1:7000");
  EXPECT_EQ((*session)->assignment.peerUid, 1000u);
  EXPECT_EQ((*session)->assignment.peerProcess, -1);

  guest.daemon.reset();
  ASSERT_EQ(::send((*session)->guestSocket.get(), "hi", 2, 0), 2);
  char got[4];
  EXPECT_EQ(::recv(guest.executor.get(), got, sizeof got, 0), 2);
}

TEST(SessionAssignment, AnExecutorThatIsNotNeededIsToldSo) {
  ControlPair control;
  control.daemon.reset();
  auto session = receiveSession(control.executor.get());
  ASSERT_TRUE(session.ok());
  EXPECT_FALSE(session->has_value());
}

TEST(SessionAssignment, WithoutASocketIsRefused) {
  ControlPair control;
  ASSERT_EQ(::send(control.daemon.get(), "nonsense", 8, 0), 8);
  EXPECT_FALSE(receiveSession(control.executor.get()).ok());
}

TEST(DriverReport, ListsTheDevices) {
  ControlPair control;
  DriverReport report{13000, "", {{"vgpu CPU driver (virtual H100)", "GPU-1", uint64_t{80} << 30, 9, 0, 2}}};
  EXPECT_FALSE(readDriverReport(control.daemon.get())->has_value());
  ASSERT_TRUE(reportDriver(control.executor.get(), report).ok());
  auto got = readDriverReport(control.daemon.get());
  ASSERT_TRUE(got.ok()) << got.error().message();
  ASSERT_TRUE(got->has_value());
  ASSERT_EQ((*got)->devices.size(), 1u);
  EXPECT_EQ((*got)->driverVersion, 13000u);
  EXPECT_EQ((*got)->devices[0].name, "vgpu CPU driver (virtual H100)");
  EXPECT_EQ((*got)->devices[0].memoryBytes, uint64_t{80} << 30);
  EXPECT_EQ((*got)->devices[0].multiprocessors, 2u);
}

TEST(DriverReport, OfADeadExecutorIsAnError) {
  ControlPair control;
  control.executor.reset();
  EXPECT_FALSE(readDriverReport(control.daemon.get()).ok());
}

TEST(DriverReport, ThatClaimsMoreDevicesThanItBringsIsRefused) {
  ControlPair control;
  DriverReport report{13000, "", {{"a", "b", 1, 9, 0, 2}}};
  ASSERT_TRUE(reportDriver(control.executor.get(), report).ok());
  std::byte bytes[1024];
  const ssize_t got = ::recv(control.daemon.get(), bytes, sizeof bytes, 0);
  ASSERT_GT(got, 32);
  bytes[24] = std::byte{60};  // after magic, version and the empty failure
  ASSERT_EQ(::send(control.executor.get(), bytes, static_cast<size_t>(got), 0), got);
  EXPECT_FALSE(readDriverReport(control.daemon.get()).ok());
}

}  // namespace
}  // namespace vgpu::link
