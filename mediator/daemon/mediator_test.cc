// The daemon as a process, with executors that speak mediator/link only (testing/link_executor.cc).
#include "mediator/daemon/mediator.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>

#include "control.grpc.pb.h"
#include "mediator/daemon/testing/mediator_process.h"

namespace vgpu::daemon {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
namespace api = vgpu::control::v1;

constexpr const char* kCall = "vgpu_calls_total{call=\"cuMemGetInfo_v2\"}";

TEST(Mediator, AGuestGetsAnExecutorAndItsCallsAreCounted) {
  MediatorProcess mediator;
  ASSERT_EQ(mediator.readiness(), "ready") << mediator.log();
  UniqueFd guest = mediator.connect();
  ASSERT_TRUE(guest.valid());
  for (char letter : {'c', 'c', 'e', 'b', 'a'}) ASSERT_TRUE(tell(guest.get(), letter));

  EXPECT_EQ(mediator.metric("vgpu_sessions"), 1);
  EXPECT_EQ(mediator.metric(kCall), 3);
  EXPECT_EQ(mediator.metric("vgpu_call_errors_total{call=\"cuMemGetInfo_v2\"}"), 1);
  EXPECT_EQ(mediator.metric("vgpu_bytes_total{direction=\"from_guest\",carrier=\"memfd\"}"), 1000);
  EXPECT_EQ(mediator.metric("vgpu_session_allocated_bytes{session=\"1\",program=\"letters\"}"), 1 << 20);
}

TEST(Mediator, TotalsOfEndedSessionsAreKept) {
  MediatorProcess mediator;
  for (int i = 0; i < 3; ++i) {
    UniqueFd guest = mediator.connect();
    ASSERT_TRUE(tell(guest.get(), 'c'));
  }
  EXPECT_TRUE(eventually([&] { return mediator.metric("vgpu_sessions") == 0; }));
  EXPECT_EQ(mediator.metric(kCall), 3);
  EXPECT_EQ(mediator.metric("vgpu_sessions_started_total"), 3);
  EXPECT_EQ(mediator.metric("vgpu_executor_restarts_total"), 0);
  EXPECT_THAT(mediator.metrics(), testing::Not(HasSubstr("session=\"1\"")));
}

TEST(Mediator, OneCrashingExecutorDisturbsNobody) {
  MediatorProcess mediator;
  UniqueFd good = mediator.connect(), bad = mediator.connect();
  ASSERT_TRUE(tell(good.get(), 'c'));
  ASSERT_TRUE(tell(bad.get(), 'c'));
  EXPECT_FALSE(tell(bad.get(), 'k'));
  EXPECT_TRUE(tell(good.get(), 'c'));
  EXPECT_TRUE(eventually([&] { return mediator.metric("vgpu_executor_restarts_total") == 1; }));
  EXPECT_THAT(mediator.log(), HasSubstr("killed by signal ABRT"));
  EXPECT_EQ(mediator.metric("vgpu_sessions"), 1);
}

TEST(Mediator, AGuestThatBrokeTheProtocolIsNoCrash) {
  MediatorProcess mediator;
  UniqueFd guest = mediator.connect();
  ASSERT_TRUE(tell(guest.get(), 'r'));
  EXPECT_FALSE(tell(guest.get(), 'x'));
  EXPECT_TRUE(eventually([&] { return mediator.metric("vgpu_sessions") == 0; }));
  EXPECT_EQ(mediator.metric("vgpu_rejected_records_total"), 1);
  EXPECT_EQ(mediator.metric("vgpu_executor_restarts_total"), 0);
  EXPECT_THAT(mediator.log(), HasSubstr("guest broke the protocol"));
}

TEST(Mediator, AnExecutorThatLiesInItsStatisticsHarmsNobodysNumbers) {
  MediatorProcess mediator;
  UniqueFd guest = mediator.connect();
  ASSERT_TRUE(tell(guest.get(), 's'));
  const std::string text = mediator.metrics();
  EXPECT_THAT(text, HasSubstr("200 OK"));
  EXPECT_THAT(text, HasSubstr("vgpu_calls_total{call=\"unknown\"}"));
  EXPECT_LT(text.size(), 200'000u);
}

// The lists of WatchVgpus until one satisfies the condition; false when none did in ten seconds.
bool watched(const MediatorProcess& mediator, const std::function<bool(const api::VgpuList&)>& condition) {
  const auto channel =
      grpc::CreateChannel("unix:" + mediator.controlPath(), grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 10s);
  const auto reader = api::Control::NewStub(channel)->WatchVgpus(&context, {});
  bool satisfied = false;
  for (api::VgpuList list; !satisfied && reader->Read(&list);) satisfied = condition(list);
  context.TryCancel();
  return satisfied;
}

// The watched list in short: each vGPU's name and whether it is in order.
std::string inShort(const api::VgpuList& list) {
  std::string text;
  for (const api::Vgpu& vgpu : list.vgpus()) text += vgpu.name() + (vgpu.unhealthy().empty() ? "+ " : "- ");
  return text;
}

TEST(Mediator, WhoReachesAVgpusSocketHasThatVgpu) {
  MediatorProcess mediator(
      {"--set=vgpus.slices=[{name: a, memory: 1GiB, share: 10}, {name: b, memory: 2GiB, share: 20}]"});
  ASSERT_EQ(mediator.readiness(), "ready") << mediator.log();
  EXPECT_TRUE(watched(mediator, [](const api::VgpuList& list) { return inShort(list) == "a+ b+ "; }));
  UniqueFd first = MediatorProcess::connect(mediator.vgpuPath("a")),
           second = MediatorProcess::connect(mediator.vgpuPath("b"));
  ASSERT_TRUE(tell(first.get(), 'a') && tell(second.get(), 'c'));
  EXPECT_EQ(mediator.metric("vgpu_sessions_on_vgpu{vgpu=\"a\"}"), 1);
  EXPECT_EQ(mediator.metric("vgpu_session_allocated_bytes{session=\"1\",program=\"letters\",vgpu=\"a\"}"),
            1 << 20);
  first.reset();
  EXPECT_TRUE(eventually([&] { return mediator.metric("vgpu_sessions_on_vgpu{vgpu=\"a\"}") == 0; }));
  EXPECT_EQ(mediator.metric("vgpu_sessions_on_vgpu{vgpu=\"b\"}"), 1);
}

// vGPUs come, change and go at SIGHUP; who watches is told; the guest of one that goes stays.
TEST(Mediator, VgpusChangeAtReload) {
  MediatorProcess mediator;
  const auto reload = [&](const std::string& slices) {
    mediator.writeConfiguration("vgpus:\n  slices: [" + slices + "]\n");
    mediator.signal(SIGHUP);
  };
  const auto becomes = [&](const std::string& wanted) {
    return watched(mediator, [&](const api::VgpuList& list) { return inShort(list) == wanted; });
  };
  EXPECT_TRUE(becomes(""));
  reload("{name: a, memory: 1GiB, share: 10}, {name: far, gpu: 7, memory: 1GiB}");
  EXPECT_TRUE(becomes("a+ far- "));
  UniqueFd guest = MediatorProcess::connect(mediator.vgpuPath("a"));
  ASSERT_TRUE(tell(guest.get(), 'c'));
  EXPECT_FALSE(tell(MediatorProcess::connect(mediator.vgpuPath("far")).get(), 'c'));
  EXPECT_THAT(mediator.log(), HasSubstr("vGPU far: there is no GPU 7"));
  reload("{name: a, memory: 60GiB, share: 10}, {name: b, memory: 60GiB, share: 10}");
  EXPECT_TRUE(becomes("a- b- "));  // more than the device has
  EXPECT_EQ(mediator.metric("vgpu_memory_limit_bytes{vgpu=\"a\"}"), 60.0 * (1 << 30));
  reload("{name: b, memory: 60GiB, share: 200}");  // a mistake: nothing changes
  EXPECT_TRUE(eventually([&] { return mediator.log().find("configuration refused") != std::string::npos; }));
  EXPECT_TRUE(becomes("a- b- "));
  reload("{name: b, memory: 60GiB, share: 10}");
  EXPECT_TRUE(becomes("b+ "));
  EXPECT_FALSE(MediatorProcess::connect(mediator.vgpuPath("a")).valid());
  EXPECT_TRUE(tell(guest.get(), 'c'));
}

// The guest is a process that connects, forks a child that keeps the socket, and is killed.
TEST(Mediator, AKilledGuestsSessionEndsAlthoughItsChildKeepsTheSocket) {
  MediatorProcess mediator;
  int ready[2], childLife[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(childLife), 0);
  const pid_t guest = ::fork();
  if (guest == 0) {
    UniqueFd socket = mediator.connect();
    // The executor computes for ever, so that it would not notice an end of file either.
    const char letter = 'h';
    (void)::send(socket.get(), &letter, 1, 0);
    if (::fork() == 0) {
      ::close(childLife[1]);
      char byte;
      (void)::read(childLife[0], &byte, 1);
      ::_exit(0);
    }
    (void)::write(ready[1], "r", 1);
    for (;;) ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(eventually([&] { return mediator.metric("vgpu_sessions") == 1; }));
  const auto killed = now();
  ::kill(guest, SIGKILL);
  ::waitpid(guest, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return mediator.metric("vgpu_sessions") == 0; }));
  EXPECT_LT(now() - killed, 1s);
  EXPECT_EQ(mediator.metric("vgpu_executor_restarts_total"), 0);
  for (int fd : {ready[0], ready[1], childLife[0], childLife[1]}) ::close(fd);
}

TEST(Mediator, MoreGuestsThanAllowedAreTurnedAway) {
  MediatorProcess mediator({"--set=sessions.max=1"});
  UniqueFd first = mediator.connect();
  ASSERT_TRUE(tell(first.get(), 'c'));
  UniqueFd second = mediator.connect();
  EXPECT_TRUE(eventually(
      [&] { return mediator.metric("vgpu_sessions_refused_total{reason=\"too_many_sessions\"}") == 1; }));
  EXPECT_TRUE(tell(first.get(), 'c'));
}

TEST(Mediator, DrainingWaitsForSessionsThenEnds) {
  MediatorProcess mediator;
  UniqueFd guest = mediator.connect();
  ASSERT_TRUE(tell(guest.get(), 'c'));
  mediator.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return !mediator.connect().valid(); }));
  EXPECT_TRUE(tell(guest.get(), 'c'));
  EXPECT_EQ(mediator.wait(200ms), -1000);
  guest.reset();
  EXPECT_EQ(mediator.wait(5s), 0);
}

TEST(Mediator, DrainingEndsSessionsAfterTheConfiguredWait) {
  MediatorProcess mediator({"--set=drain.wait=200ms"});
  UniqueFd guest = mediator.connect();
  ASSERT_TRUE(tell(guest.get(), 'c'));
  mediator.signal(SIGTERM);
  EXPECT_TRUE(connectionEnds(guest.get(), 5s));
  EXPECT_EQ(mediator.wait(5s), 0);
}

TEST(Mediator, ReloadTakesTheNewValuesAndKeepsTheOldOnAMistake) {
  MediatorProcess mediator;
  mediator.writeConfiguration("log:\n  level: debug\nsessions:\n  max: 1\n");
  mediator.signal(SIGHUP);
  EXPECT_TRUE(
      eventually([&] { return mediator.log().find("configuration read again") != std::string::npos; }));
  UniqueFd first = mediator.connect();
  ASSERT_TRUE(tell(first.get(), 'c'));

  mediator.writeConfiguration("sessions:\n  max: 64\n  maximum: 3\n");
  mediator.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] {
    return mediator.log().find("mediator.yaml:3:3: sessions.maximum: unknown key") != std::string::npos;
  }));
  UniqueFd second = mediator.connect();
  EXPECT_TRUE(eventually(
      [&] { return mediator.metric("vgpu_sessions_refused_total{reason=\"too_many_sessions\"}") == 1; }));
}

TEST(Mediator, AKeyThatNeedsARestartIsNamedAtReload) {
  MediatorProcess mediator;
  mediator.writeConfiguration("socket_mode: 0600\n");
  mediator.signal(SIGHUP);
  EXPECT_TRUE(
      eventually([&] { return mediator.log().find("next start key=socket_mode") != std::string::npos; }));
}

TEST(Mediator, RefusesToStartWithAMistake) {
  MediatorProcess mediator({"--set=sessions.max=zero"});
  EXPECT_THAT(mediator.readiness(), HasSubstr("sessions.max: must be a whole number"));
  EXPECT_EQ(mediator.wait(5s), 2);
}

TEST(Mediator, RefusesASocketThatIsInUse) {
  MediatorProcess first;
  MediatorProcess second({"--set=endpoints=unix:" + first.socketPath()});
  EXPECT_THAT(second.readiness(), HasSubstr("mediator.sock"));
  EXPECT_EQ(second.wait(5s), 1);
  EXPECT_TRUE(first.connect().valid());
}

TEST(Mediator, TakesOverTheSocketOfOneThatWasKilled) {
  MediatorProcess first;
  const std::string endpoint = "--set=endpoints=unix:" + first.socketPath();
  first.signal(SIGKILL);
  EXPECT_EQ(first.wait(5s), -SIGKILL);
  MediatorProcess second({endpoint});
  EXPECT_EQ(second.readiness(), "ready");
}

TEST(Mediator, ExecutorsDoNotOutliveIt) {
  MediatorProcess mediator;
  UniqueFd guest = mediator.connect();
  ASSERT_TRUE(tell(guest.get(), 'c'));
  mediator.signal(SIGKILL);
  EXPECT_TRUE(connectionEnds(guest.get(), 5s));
}

TEST(Mediator, AnExecutorThatDoesNotStartIsTriedAgainLater) {
  MediatorProcess mediator({"--set=executor.driver=/dies"});
  EXPECT_EQ(mediator.readiness(), "ready");
  EXPECT_TRUE(eventually([&] { return mediator.metric("vgpu_executor_restarts_total") >= 2; }));
  EXPECT_THAT(mediator.log(), HasSubstr("an executor did not start"));
}

TEST(Mediator, AGuestIsToldWhyTheDriverDoesNotWork) {
  MediatorProcess mediator({"--set=executor.driver=/fails"});
  ASSERT_TRUE(
      eventually([&] { return mediator.log().find("the driver does not work") != std::string::npos; }));
  UniqueFd guest = mediator.connect();
  EXPECT_TRUE(
      eventually([&] { return mediator.metric("vgpu_sessions_refused_total{reason=\"no_driver\"}") == 1; }));
  EXPECT_THAT(mediator.log(), HasSubstr("this driver fails"));
}

TEST(Mediator, IdleExitEndsItAfterItsLastGuest) {
  MediatorProcess mediator({"--idle-exit=1"});
  UniqueFd guest = mediator.connect();
  ASSERT_TRUE(tell(guest.get(), 'c'));
  EXPECT_EQ(mediator.wait(1500ms), -1000);
  guest.reset();
  EXPECT_EQ(mediator.wait(5s), 0);
  struct stat status;
  EXPECT_NE(::stat(mediator.socketPath().c_str(), &status), 0);
}

TEST(Mediator, IdleExitWaitsForProcessesThatAnnouncedThemselves) {
  MediatorProcess mediator({"--idle-exit=1"});
  int answered[2];
  ASSERT_EQ(::pipe(answered), 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (mediator.socketPath() + ".presence").copy(address.sun_path, sizeof address.sun_path - 1);
    char line[64] = {};
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      (void)::recv(socket.get(), line, sizeof line - 1, 0);
    }
    socket.reset();
    (void)::write(answered[1], line, sizeof line);
    for (;;) ::pause();
  }
  char line[64] = {};
  ASSERT_GT(::read(answered[0], line, sizeof line), 0);
  EXPECT_THAT(std::string(line), HasSubstr("vgpu-mediator "));
  EXPECT_EQ(mediator.wait(1500ms), -1000);
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  EXPECT_EQ(mediator.wait(5s), 0);
  for (int fd : answered) ::close(fd);
}

TEST(Mediator, LogsAsJsonWhenToldSo) {
  MediatorProcess mediator({"--set=log.format=json"});
  UniqueFd guest = mediator.connect();
  ASSERT_TRUE(tell(guest.get(), 'c'));
  EXPECT_THAT(
      mediator.log(),
      HasSubstr("\"process\":\"mediator\",\"level\":\"info\",\"event\":\"session began\",\"session\":\"1\""));
}

TEST(Mediator, SessionsBeginOverTcpToo) {
  MediatorProcess mediator({"--set=endpoints=tcp:127.0.0.1:0"});
  ASSERT_EQ(mediator.readiness(), "ready") << mediator.log();
  const std::string text = mediator.log();
  const std::string marker = "endpoint=tcp:127.0.0.1:";
  const size_t at = text.find(marker);
  ASSERT_NE(at, std::string::npos);
  UniqueFd guest = connectTcp(std::stoi(text.substr(at + marker.size())));
  ASSERT_TRUE(tell(guest.get(), 'c'));
  EXPECT_THAT(mediator.log(), HasSubstr("tenant=tcp"));
}

}  // namespace
}  // namespace vgpu::daemon
