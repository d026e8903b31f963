#include "transport/carrier/connect.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/fd_passing.h"
#include "transport/carrier/addresses.h"
#include "transport/carrier/handshake.h"
#include "transport/carrier/memfd_guest_carrier.h"
#include "transport/carrier/sockets.h"
#include "transport/carrier/stream_guest_channel.h"
#include "transport/ring/ring_guest_channel.h"

namespace vgpu::transport {

namespace {

using Kind = ConnectError::Kind;

// One attempt; its message lines all begin with the address.
class Connecting {
 public:
  Connecting(const Endpoint& endpoint, std::chrono::milliseconds timeout)
      : endpoint_(endpoint), deadline_(now() + timeout) {}

  Connected run(std::span<const std::byte> hello) {
    AnswerHeader answer{};
    Connected connected;
    if (reach() && sendHello(hello) && readAnswer(answer) && readText(answer, connected.welcome))
      become(answer, connected);
    if (!connected.channel && !error_) fail(Kind::Broken, "the handshake failed");
    connected.error = std::move(error_);
    return connected;
  }
  bool reach();

 private:
  bool fail(Kind kind, const std::string& cause, int32_t code = 0) {
    error_ = ConnectError{kind, code, "connect to " + endpoint_.text() + ": " + cause};
    return false;
  }
  bool failConnecting(int code);
  bool tryAddress(const SocketAddress& address);
  bool sendHello(std::span<const std::byte> hello);
  bool readAnswer(AnswerHeader& answer);
  bool readText(const AnswerHeader& answer, std::vector<std::byte>& text);
  void become(const AnswerHeader& answer, Connected& connected);
  bool failReading(const Error& error);

  const Endpoint& endpoint_;
  MonotonicTime deadline_;
  UniqueFd socket_;
  std::vector<UniqueFd> fds_;
  std::optional<ConnectError> error_;
};

bool Connecting::failConnecting(int code) {
  const std::string remedy = "; start vgpu-mediator there, or run the program with `vgpuctl run`";
  switch (code) {
    case ENOENT:
    case ECONNREFUSED:
      return fail(Kind::NotThere, "nobody listens there" + remedy);
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
      return fail(Kind::NotThere, std::string(std::strerror(code)) + "; check the host and the network");
    case EACCES:
    case EPERM:
      return fail(Kind::NoPermission,
                  "permission denied; this user needs write access to the socket and its directory");
    case ETIMEDOUT:
      return fail(Kind::TimedOut, "no answer; check the address and firewalls");
    default:
      return fail(Kind::Broken, std::strerror(code));
  }
}

bool Connecting::tryAddress(const SocketAddress& address) {
  // A unix socket connects at once or waits for room in the listener's queue: there non-blocking would only
  // fail.
  const int flags = SOCK_STREAM | SOCK_CLOEXEC | (address.family == AF_UNIX ? 0 : SOCK_NONBLOCK);
  socket_ = UniqueFd(::socket(address.family, flags, 0));
  if (!socket_.valid()) return failConnecting(errno);
  if (address.family == AF_UNIX) {
    const auto left = std::chrono::ceil<std::chrono::microseconds>(deadline_ - now()).count();
    const timeval limit{static_cast<time_t>(left / 1'000'000), static_cast<suseconds_t>(left % 1'000'000)};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  if (::connect(socket_.get(), address.get(), address.length) == 0) return true;
  if (errno != EINPROGRESS) return failConnecting(errno == EAGAIN ? ETIMEDOUT : errno);
  if (Status ready = waitFor(socket_.get(), POLLOUT, deadline_); !ready)
    return failConnecting(ready.error().code);
  int code = 0;
  socklen_t length = sizeof code;
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &length);
  return code == 0 ? true : failConnecting(code);
}

bool Connecting::reach() {
  Result<std::vector<SocketAddress>> addresses = addressesOf(endpoint_, false);
  if (!addresses) return fail(Kind::NotThere, addresses.error().message() + "; check the host's name");
  for (const SocketAddress& address : *addresses) {
    if (!tryAddress(address)) continue;
    error_.reset();
    setNonBlocking(socket_.get(), false);
    const timeval none{};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
    setNoDelay(socket_.get());
    return true;
  }
  return false;
}

bool Connecting::sendHello(std::span<const std::byte> hello) {
  if (hello.size() > kMostHelloBytes)
    return fail(Kind::Broken, "the hello is larger than the protocol allows");
  HelloHeader header{};
  header.magic = kHandshakeMagic;
  header.version = kProtocolVersion;
  header.carrier = static_cast<uint8_t>(endpoint_.carrier);
  header.helloBytes = static_cast<uint32_t>(hello.size());
  std::vector<std::byte> message(sizeof header + hello.size());
  std::memcpy(message.data(), &header, sizeof header);
  if (!hello.empty()) std::memcpy(message.data() + sizeof header, hello.data(), hello.size());
  // A refusal may already wait for us on a connection that was closed behind it: reading says more than this
  // error.
  (void)sendWithFds(socket_.get(), message, {});
  return true;
}

bool Connecting::failReading(const Error& error) {
  if (error.code == ETIMEDOUT)
    return fail(Kind::TimedOut, "the mediator accepted the connection and did not answer; see its log");
  if (error.code == ECONNRESET || error.code == EPIPE)
    return fail(Kind::Broken, "the mediator closed the connection during the handshake; see its log");
  return fail(Kind::Broken, error.message());
}

bool Connecting::readAnswer(AnswerHeader& answer) {
  const auto into = std::as_writable_bytes(std::span(&answer, 1));
  if (Status got = readExactly(socket_.get(), into, deadline_, &fds_); !got) return failReading(got.error());
  if (answer.magic != kHandshakeMagic)
    return fail(Kind::WrongVersion, "something that is no vgpu-mediator answers there");
  if (answer.version != kProtocolVersion || answer.outcome == static_cast<uint8_t>(Outcome::WrongVersion))
    return fail(Kind::WrongVersion, "the mediator speaks protocol version " + std::to_string(answer.version) +
                                        ", this program " + std::to_string(kProtocolVersion) +
                                        "; install the same version of vgpu on both sides");
  return true;
}

bool Connecting::readText(const AnswerHeader& answer, std::vector<std::byte>& text) {
  const bool refused = answer.outcome == static_cast<uint8_t>(Outcome::Refused);
  if (answer.textBytes > (refused ? kMostRefusalBytes : kMostWelcomeBytes))
    return fail(Kind::Broken, "the mediator's answer is larger than the protocol allows");
  text.resize(answer.textBytes);
  if (Status got = readExactly(socket_.get(), text, deadline_, &fds_); !got) return failReading(got.error());
  if (!refused) return true;
  const std::string words(reinterpret_cast<const char*>(text.data()), text.size());
  text.clear();
  return fail(Kind::Refused, words, answer.code);
}

void Connecting::become(const AnswerHeader& answer, Connected& connected) {
  if (Status limits = checkLimits(answer.limits); !limits) {
    fail(Kind::Broken, limits.error().message());
    return;
  }
  if (endpoint_.carrier == CarrierKind::Stream) {
    connected.channel = makeStreamGuestChannel(std::move(socket_), answer.limits);
    return;
  }
  if (fds_.empty() || fds_.size() > 2) {
    fail(Kind::Broken, "the mediator's answer came without the channel's memory");
    return;
  }
  UniqueFd hostProcess = fds_.size() == 2 ? std::move(fds_[1]) : UniqueFd();
  auto carrier =
      MemfdGuestCarrier::make(std::move(socket_), answer.limits, std::move(fds_[0]), std::move(hostProcess));
  if (!carrier) {
    fail(Kind::Broken, carrier.error().message());
    return;
  }
  connected.channel = std::make_unique<RingGuestChannel>(*std::move(carrier), answer.limits);
}

}  // namespace

Connected connect(const Endpoint& endpoint, std::span<const std::byte> hello,
                  std::chrono::milliseconds timeout) {
  return Connecting(endpoint, timeout).run(hello);
}

bool isListening(const Endpoint& endpoint) { return Connecting(endpoint, std::chrono::seconds(1)).reach(); }

}  // namespace vgpu::transport
