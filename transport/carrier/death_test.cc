// The end of either process, with real processes: killed in the middle, forked, forked and killed.
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>

#include "transport/carrier/channel_fixture.h"
#include "transport/carrier/death_notice.h"

namespace vgpu::transport {
namespace {

using namespace std::chrono_literals;

class DeathTest : public ChannelTest {
 protected:
  // Runs `guest` in a child process, with a channel that this process hosts.
  template <class Guest>
  void startGuest(Guest&& guest) {
    child_ = ::fork();
    if (child_ == 0) {
      Connected connected = connect(listener_.endpoint(), bytesFrom("hello"));
      if (!connected.channel) ::_exit(9);
      guest(*connected.channel);
      ::_exit(0);
    }
    Result<PendingGuest> pending = accept(listener_.acceptSocket());
    ASSERT_TRUE(pending.ok());
    if (GetParam() != Kind::Tcp) EXPECT_EQ(pending->processId(), child_);
    host_ = *(*std::move(pending)).welcome({});
  }
  void killGuest() { ::kill(child_, SIGKILL); }
  int reapGuest() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    return status;
  }
  // Reads records until the session ends; how it ended.
  Next readToTheEnd() {
    auto record = std::make_unique<IncomingRecord>();
    for (;;) {
      const Next next = host_->next(*record, 5s);
      if (next != Next::Record) return next;
      last_ = record->call();
    }
  }
  static bool hasNoSession(GuestChannel& guest) {
    std::array<std::byte, 8> out;
    return guest.lost() && guest.post(66, 0, out) == 0 && guest.call(66, 0, {}, {}).lost &&
           guest.beginDownload(66, 0, {}, out).sequence == 0 && guest.waitRetired(0, 1) == Wait::Lost &&
           !guest.attachThread() && !guest.lostReason().empty();
  }
  // What holds in a child that the guest makes by `fork`, while the guest's own session goes on.
  void expectInChild(pid_t (*fork)(), bool (*holds)(GuestChannel&)) {
    startGuest([&](GuestChannel& guest) {
      const pid_t child = fork();
      if (child == 0) ::_exit(holds(guest) ? 0 : 1);
      int status = 0;
      ::waitpid(child, &status, 0);
      guest.post(status == 0 ? 55 : 44, 0, {});
      guest.flush();
      guest.waitRetired(0, 1, 1s);
    });
    host_->retire(0, 1);
    EXPECT_EQ(readToTheEnd(), Next::Lost);
    EXPECT_EQ(last_, 55);
    EXPECT_EQ(reapGuest(), 0);
  }
  pid_t child_ = 0;
  uint16_t last_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Carriers, DeathTest, testing::Values(Kind::Memfd, Kind::UnixStream, Kind::Tcp),
                         nameOf);

TEST_P(DeathTest, AKilledGuestIsNoticedAtOnce) {
  startGuest([](GuestChannel& guest) {
    guest.post(77, 0, {});
    guest.flush();
    guest.waitRetired(0, 100);
  });
  std::this_thread::sleep_for(20ms);
  const auto start = now();
  killGuest();
  EXPECT_EQ(readToTheEnd(), Next::Lost);
  EXPECT_EQ(last_, 77);
  EXPECT_LT(now() - start, 500ms);
  reapGuest();
}

TEST_P(DeathTest, AKilledGuestIsNoticedAlthoughItsForkedChildLives) {
  if (GetParam() == Kind::Tcp && !DeathNotice::kWatches) GTEST_SKIP() << "needs the watching process";
  // The grandchild is made without the C library, so that nothing can close its copy of the socket.
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  startGuest([&](GuestChannel& guest) {
    const pid_t grandchild = static_cast<pid_t>(::syscall(SYS_fork));
    if (grandchild == 0) {
      ::sleep(20);
      ::_exit(0);
    }
    [[maybe_unused]] const ssize_t written = ::write(pipe[1], &grandchild, sizeof grandchild);
    guest.waitRetired(0, 100);
  });
  pid_t grandchild = 0;
  ASSERT_EQ(::read(pipe[0], &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  const auto start = now();
  killGuest();
  EXPECT_EQ(readToTheEnd(), Next::Lost);
  EXPECT_LT(now() - start, 1s);
  ::kill(grandchild, SIGKILL);
  reapGuest();
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_P(DeathTest, AStoppedGuestIsNotTakenForADeadOne) {
  startGuest([](GuestChannel& guest) {
    guest.post(1, 0, {});
    guest.flush();
    guest.waitRetired(0, 1);
    guest.post(2, 0, {});
    guest.flush();
    guest.waitRetired(0, 2, 5s);
  });
  auto record = std::make_unique<IncomingRecord>();
  ASSERT_EQ(host_->next(*record, 5s), Next::Record);
  ::kill(child_, SIGSTOP);
  EXPECT_EQ(host_->next(*record, 1500ms), Next::TimedOut);
  host_->retire(0, 1);
  ::kill(child_, SIGCONT);
  ASSERT_EQ(host_->next(*record, 5s), Next::Record);
  EXPECT_EQ(record->call(), 2);
  host_->retire(0, 2);
  EXPECT_EQ(readToTheEnd(), Next::Lost);
  EXPECT_EQ(reapGuest(), 0);
}

TEST_P(DeathTest, AProgramThatWaitsForItsChildrenSeesOnlyItsOwn) {
  startGuest([](GuestChannel& guest) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    int status = 0;
    const bool own = ::wait(&status) == child && ::wait(&status) == -1 && errno == ECHILD;
    guest.post(own ? 55 : 44, 0, {});
    guest.flush();
  });
  EXPECT_EQ(readToTheEnd(), Next::Lost);
  EXPECT_EQ(last_, 55);
  reapGuest();
}

TEST_P(DeathTest, ExecEndsTheSession) {
  startGuest([](GuestChannel&) { ::execl("/bin/sleep", "sleep", "20", nullptr); });
  const auto start = now();
  EXPECT_EQ(readToTheEnd(), Next::Lost);
  EXPECT_LT(now() - start, 2s);
  killGuest();
  reapGuest();
}

TEST_P(DeathTest, AForkedChildHasNoSessionAndDoesNotDisturbItsParents) {
  expectInChild(::fork, [](GuestChannel& guest) {
    Event event;
    return hasNoSession(guest) && guest.retired(9) == 0 && guest.waitEvent(event) == Wait::Lost;
  });
}

TEST_P(DeathTest, AChildThatNoLibraryHeardOfHasNoSessionEither) {
  expectInChild([] { return static_cast<pid_t>(::syscall(SYS_fork)); },
                [](GuestChannel& guest) {
                  const bool none = hasNoSession(guest);
                  guest.flush();
                  return none;
                });
}

TEST_P(DeathTest, AForkedChildCanEndNormallyWithTheChannelInIt) {
  expectInChild(::fork, [](GuestChannel& guest) {
    delete &guest;
    return true;
  });
}

TEST_P(DeathTest, AKilledExecutorEndsEveryWaitOfTheGuest) {
  const pid_t executor = ::fork();
  if (executor == 0) {
    Result<PendingGuest> pending = accept(listener_.acceptSocket());
    auto host = *(*std::move(pending)).welcome({});
    auto record = std::make_unique<IncomingRecord>();
    while (host->next(*record) == Next::Record) {
    }
    ::_exit(0);
  }
  listener_.stop();  // otherwise we hold a queue in which nothing happens
  Listener another(GetParam());
  Connected connected = connect(listener_.endpoint(), {});
  ASSERT_TRUE(connected.channel) << connected.error->message;
  std::thread waiting([&] { EXPECT_TRUE(connected.channel->call(1, 0, {}, {}).lost); });
  std::this_thread::sleep_for(20ms);
  const auto start = now();
  ::kill(executor, SIGKILL);
  waiting.join();
  EXPECT_LT(now() - start, 500ms);
  EXPECT_EQ(connected.channel->post(1, 0, {}), 0u);
  int status = 0;
  ::waitpid(executor, &status, 0);
}

// ---- memory that both sides map

class SharedMemoryTest : public ChannelTest {};
INSTANTIATE_TEST_SUITE_P(Carriers, SharedMemoryTest, testing::Values(Kind::Memfd), nameOf);

TEST_P(SharedMemoryTest, MemoryTheHostMakesAppearsAtTheWantedAddress) {
  connectPair();
  constexpr size_t kBytes = 1 << 20;
  // In one process both ends cannot have the same address; two reserved ranges stand for it.
  void* atHost = ::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* atGuest = ::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Result<Mapping> made = host_->makeShared(17, atHost, kBytes);
  ASSERT_TRUE(made.ok()) << made.error().message();
  EXPECT_EQ(made->data(), atHost);
  Result<Mapping> mapped = guest_->mapShared(17, atGuest, kBytes);
  ASSERT_TRUE(mapped.ok()) << mapped.error().message();
  EXPECT_EQ(mapped->data(), atGuest);
  mapped->data()[kBytes - 1] = std::byte{42};
  EXPECT_EQ(made->data()[kBytes - 1], std::byte{42});
}

TEST_P(SharedMemoryTest, SeveralRegionsAreToldApart) {
  connectPair();
  std::vector<Mapping> made;
  for (uint64_t id = 1; id <= 20; ++id) {
    made.push_back(*host_->makeShared(id, nullptr, 4096));
    made.back().data()[0] = static_cast<std::byte>(id);
  }
  for (uint64_t id = 20; id >= 1; --id)
    EXPECT_EQ(guest_->mapShared(id, nullptr, 4096)->data()[0], static_cast<std::byte>(id));
}

TEST_P(SharedMemoryTest, WhatIsNotSealedIsNotShared) {
  connectPair();
  UniqueFd open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(open.get(), 4096), 0);
  EXPECT_FALSE(host_->shareDescriptor(1, open.get(), 4096).ok());
}

TEST_P(SharedMemoryTest, ARegionIsNotMappedBeyondItsEnd) {
  connectPair();
  const Result<Mapping> made = host_->makeShared(3, nullptr, 4096);
  EXPECT_FALSE(guest_->mapShared(3, nullptr, 8192).ok());
}

}  // namespace
}  // namespace vgpu::transport
