// Endpoints, and what a program is told when it cannot connect.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/fd_passing.h"
#include "transport/carrier/channel_fixture.h"
#include "transport/carrier/handshake.h"

namespace vgpu::transport {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

TEST(EndpointTest, TheThreeFormsAreUnderstood) {
  const Endpoint memfd = *parseEndpoint("unix:/run/vgpu/mediator.sock");
  EXPECT_EQ(memfd.family, Endpoint::Family::Unix);
  EXPECT_EQ(memfd.carrier, CarrierKind::Memfd);
  EXPECT_EQ(memfd.path, "/run/vgpu/mediator.sock");
  EXPECT_EQ(parseEndpoint("unix-stream:/a")->carrier, CarrierKind::Stream);
  const Endpoint tcp = *parseEndpoint("tcp:gpu-host.example:4990");
  EXPECT_EQ(tcp.host, "gpu-host.example");
  EXPECT_EQ(tcp.port, 4990);
  EXPECT_EQ(parseEndpoint("tcp:[::1]:80")->host, "::1");
  for (const char* text : {"unix:/a/b", "unix-stream:/a", "tcp:host:1", "tcp:[::1]:65535"})
    EXPECT_EQ(parseEndpoint(text)->text(), text);
}

TEST(EndpointTest, ErrorsNameWhatIsWrong) {
  const auto cause = [](std::string_view text) {
    const Result<Endpoint> parsed = parseEndpoint(text);
    return parsed ? "" : parsed.error().message();
  };
  EXPECT_THAT(cause(""), HasSubstr("empty"));
  EXPECT_THAT(cause("http://x"), HasSubstr("kind is unknown"));
  EXPECT_THAT(cause("unix:relative"), HasSubstr("absolute"));
  EXPECT_THAT(cause("unix:/" + std::string(200, 'x')), HasSubstr("longer than"));
  EXPECT_THAT(cause("tcp:host"), HasSubstr("port is missing"));
  EXPECT_THAT(cause("tcp::80"), HasSubstr("host is missing"));
  EXPECT_THAT(cause("tcp:host:99999"), HasSubstr("'99999' is no port"));
  EXPECT_THAT(cause("tcp:host:8x"), HasSubstr("no port"));
  EXPECT_THAT(cause("tcp:::1:80"), HasSubstr("brackets"));
}

TEST(ListenTest, AStaleSocketIsReplacedAndALiveOneIsNot) {
  Listener listener(Kind::Memfd);
  EXPECT_THAT(listenOn(listener.endpoint()).error().message(), HasSubstr("another mediator"));
  EXPECT_TRUE(isListening(listener.endpoint()));
  listener.stop();
  EXPECT_FALSE(isListening(listener.endpoint()));
  EXPECT_TRUE(listenOn(listener.endpoint()).ok());
}

TEST(ListenTest, AFileInTheWayIsLeftAlone) {
  Listener listener(Kind::Memfd);
  listener.stop();
  ::unlink(listener.endpoint().path.c_str());
  UniqueFd file(::open(listener.endpoint().path.c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_THAT(listenOn(listener.endpoint()).error().message(), HasSubstr("not a socket"));
  EXPECT_EQ(::access(listener.endpoint().path.c_str(), F_OK), 0);
}

class ConnectTest : public testing::TestWithParam<Kind> {
 protected:
  // Connects while `host` does something with the accepted socket.
  template <class Host>
  ConnectError failWith(Host&& host, std::chrono::milliseconds timeout = 10s) {
    std::thread hosting([&] { host(listener_.acceptSocket()); });
    Connected connected = connect(listener_.endpoint(), bytesFrom("hello"), timeout);
    hosting.join();
    EXPECT_FALSE(connected.channel);
    EXPECT_TRUE(connected.error);
    EXPECT_THAT(connected.error->message, HasSubstr(listener_.endpoint().text()));
    return *connected.error;
  }
  Listener listener_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Carriers, ConnectTest, testing::Values(Kind::Memfd, Kind::UnixStream, Kind::Tcp),
                         nameOf);

TEST_P(ConnectTest, NobodyListens) {
  listener_.stop();
  const Connected connected = connect(listener_.endpoint(), {});
  EXPECT_EQ(connected.error->kind, ConnectError::Kind::NotThere);
  EXPECT_THAT(connected.error->message, HasSubstr("vgpu-mediator"));
  EXPECT_THAT(connected.error->message, HasSubstr(listener_.endpoint().text()));
}

TEST_P(ConnectTest, ARefusalCarriesItsCodeAndWords) {
  const ConnectError error =
      failWith([](UniqueFd socket) { (*accept(std::move(socket))).refuse(42, "no room for you"); });
  EXPECT_EQ(error.kind, ConnectError::Kind::Refused);
  EXPECT_EQ(error.refusalCode, 42);
  EXPECT_THAT(error.message, HasSubstr("no room for you"));
}

TEST_P(ConnectTest, ADaemonRefusesWithoutReading) {
  const ConnectError error = failWith([](UniqueFd socket) {
    std::this_thread::sleep_for(10ms);
    refuseConnection(std::move(socket), 7, "draining");
  });
  EXPECT_EQ(error.kind, ConnectError::Kind::Refused);
  EXPECT_EQ(error.refusalCode, 7);
}

TEST_P(ConnectTest, SomethingElseAnswers) {
  const ConnectError error = failWith([](UniqueFd socket) {
    const std::string text(100, 'H');
    (void)sendWithFds(socket.get(), std::as_bytes(std::span(text)), {});
    std::this_thread::sleep_for(20ms);
  });
  EXPECT_EQ(error.kind, ConnectError::Kind::WrongVersion);
}

TEST_P(ConnectTest, AnotherVersionAnswers) {
  const ConnectError error = failWith([](UniqueFd socket) {
    AnswerHeader answer = makeAnswer(Outcome::WrongVersion, 0);
    answer.version = 99;
    (void)sendWithFds(socket.get(), bytesOf(answer), {});
    std::this_thread::sleep_for(20ms);
  });
  EXPECT_EQ(error.kind, ConnectError::Kind::WrongVersion);
  EXPECT_THAT(error.message, HasSubstr("version 99"));
}

TEST_P(ConnectTest, TheMediatorHangsUp) {
  EXPECT_EQ(failWith([](UniqueFd) {}).kind, ConnectError::Kind::Broken);
}

TEST_P(ConnectTest, TheMediatorDoesNotAnswer) {
  UniqueFd held;
  EXPECT_EQ(failWith([&](UniqueFd socket) { held = std::move(socket); }, 50ms).kind,
            ConnectError::Kind::TimedOut);
}

TEST_P(ConnectTest, AnAnswerWithImpossibleLimitsIsRefused) {
  const ConnectError error = failWith([](UniqueFd socket) {
    AnswerHeader answer = makeAnswer(Outcome::Welcome, 0);
    answer.limits.ringLines = 1 << 30;
    (void)sendWithFds(socket.get(), bytesOf(answer), {});
    std::this_thread::sleep_for(20ms);
  });
  EXPECT_EQ(error.kind, ConnectError::Kind::Broken);
}

TEST(ConnectPermissionTest, PermissionDeniedIsSaid) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  Listener listener(Kind::Memfd);
  ::chmod(listener.endpoint().path.c_str(), 0600);
  ::chmod(listener.endpoint().path.substr(0, listener.endpoint().path.rfind('/')).c_str(), 0755);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(65534) != 0) ::_exit(2);
    const Connected connected = connect(listener.endpoint(), {});
    ::_exit(connected.error && connected.error->kind == ConnectError::Kind::NoPermission ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

// ---- what guests may send instead of a hello

class HelloTest : public testing::Test {
 protected:
  std::string acceptAfter(std::span<const std::byte> bytes, std::chrono::milliseconds timeout = 1s) {
    Listener listener(Kind::Memfd);
    UniqueFd guest(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    listener.endpoint().path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(guest.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    (void)sendWithFds(guest.get(), bytes, {});
    const Result<PendingGuest> pending = accept(listener.acceptSocket(), timeout);
    return pending ? "" : pending.error().message();
  }
  static HelloHeader good() {
    HelloHeader header{};
    header.magic = kHandshakeMagic;
    header.version = kProtocolVersion;
    return header;
  }
};

TEST_F(HelloTest, LiesAreRefused) {
  EXPECT_EQ(acceptAfter(bytesOf(good())), "");
  HelloHeader header = good();
  header.magic[0] = 'X';
  EXPECT_THAT(acceptAfter(bytesOf(header)), HasSubstr("no vgpu hello"));
  header = good();
  header.version = 2;
  EXPECT_THAT(acceptAfter(bytesOf(header)), HasSubstr("version 2"));
  header = good();
  header.carrier = 9;
  EXPECT_THAT(acceptAfter(bytesOf(header)), HasSubstr("unknown carrier"));
  header = good();
  header.helloBytes = 1 << 30;
  EXPECT_THAT(acceptAfter(bytesOf(header)), HasSubstr("larger than"));
}

TEST_F(HelloTest, AGuestThatSaysNothingIsGivenUp) {
  EXPECT_THAT(acceptAfter({}, 30ms), HasSubstr("timed out"));
  EXPECT_THAT(acceptAfter(bytesOf(good()).first(10), 30ms), HasSubstr("timed out"));
}

}  // namespace
}  // namespace vgpu::transport
