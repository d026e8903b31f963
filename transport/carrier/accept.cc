#include "transport/carrier/accept.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/fd_passing.h"
#include "transport/carrier/handshake.h"
#include "transport/carrier/memfd_host_carrier.h"
#include "transport/carrier/sockets.h"
#include "transport/carrier/stream_host_channel.h"
#include "transport/ring/ring_host_channel.h"

namespace vgpu::transport {

namespace {

std::vector<std::byte> messageOf(const AnswerHeader& answer, std::span<const std::byte> text) {
  std::vector<std::byte> message(sizeof answer + text.size());
  std::memcpy(message.data(), &answer, sizeof answer);
  if (!text.empty()) std::memcpy(message.data() + sizeof answer, text.data(), text.size());
  return message;
}

// Says no and closes; never blocks, since the guest may not be reading. What the guest sent is read first,
// because closing a socket with unread bytes can throw away what was sent to the peer.
void sendRefusal(const UniqueFd& socket, Outcome outcome, int32_t code, std::string_view text) {
  text = text.substr(0, kMostRefusalBytes);
  AnswerHeader answer = makeAnswer(outcome, text.size());
  answer.code = code;
  const std::vector<std::byte> message =
      messageOf(answer, std::as_bytes(std::span(text.data(), text.size())));
  [[maybe_unused]] const ssize_t sent =
      ::send(socket.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(socket.get(), SHUT_WR);
  std::array<std::byte, sizeof(HelloHeader) + kMostHelloBytes> ignored;
  while (::recv(socket.get(), ignored.data(), ignored.size(), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace

PendingGuest::PendingGuest(UniqueFd socket, CarrierKind carrier, std::vector<std::byte> hello)
    : socket_(std::move(socket)), carrier_(carrier), hello_(std::move(hello)) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (!isUnix(socket_.get()) ||
      ::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return;
  processId_ = credentials.pid;
  userId_ = credentials.uid;
}

const char* PendingGuest::carrierName() const {
  if (carrier_ == CarrierKind::Memfd) return "memfd";
  return isUnix(socket_.get()) ? "unix-stream" : "tcp";
}

Result<std::unique_ptr<HostChannel>> PendingGuest::welcome(std::span<const std::byte> welcome,
                                                           const ChannelLimits& limits) && {
  if (Status checked = checkLimits(limits); !checked) return checked.error();
  if (welcome.size() > kMostWelcomeBytes)
    return Error{"welcome a guest", "the welcome is larger than the protocol allows", 0};
  AnswerHeader answer = makeAnswer(Outcome::Welcome, welcome.size());
  answer.limits = limits;
  const std::vector<std::byte> message = messageOf(answer, welcome);
  if (carrier_ == CarrierKind::Stream) {
    if (Status sent = sendWithFds(socket_.get(), message, {}); !sent) return sent.error();
    return makeStreamHostChannel(std::move(socket_), limits);
  }
  Result<std::unique_ptr<MemfdHostCarrier>> carrier = MemfdHostCarrier::make(std::move(socket_), limits);
  if (!carrier) return carrier.error();
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  const std::array<int, 2> fds = {(*carrier)->memoryFd(), self.get()};
  if (Status sent = sendWithFds((*carrier)->socket(), message, std::span(fds).first(self.valid() ? 2 : 1));
      !sent)
    return sent.error();
  return std::unique_ptr<HostChannel>(new RingHostChannel(*std::move(carrier), limits));
}

void PendingGuest::refuse(int32_t code, std::string_view text) && {
  sendRefusal(socket_, Outcome::Refused, code, text);
}

Result<PendingGuest> accept(UniqueFd socket, std::chrono::milliseconds timeout) {
  const MonotonicTime deadline = now() + timeout;
  setNonBlocking(socket.get(), false);
  setNoDelay(socket.get());
  HelloHeader header{};
  if (Status got = readExactly(socket.get(), std::as_writable_bytes(std::span(&header, 1)), deadline); !got)
    return got.error();
  if (header.magic != kHandshakeMagic) return Error{"accept a guest", "its first bytes are no vgpu hello", 0};
  if (header.version != kProtocolVersion) {
    sendRefusal(socket, Outcome::WrongVersion, 0, "");
    return Error{"accept a guest", "it speaks protocol version " + std::to_string(header.version), 0};
  }
  if (header.carrier > static_cast<uint8_t>(CarrierKind::Stream))
    return Error{"accept a guest", "it wants an unknown carrier", 0};
  const auto carrier = static_cast<CarrierKind>(header.carrier);
  if (carrier == CarrierKind::Memfd && !isUnix(socket.get()))
    return Error{"accept a guest", "it wants shared memory over a network", 0};
  if (header.helloBytes > kMostHelloBytes)
    return Error{"accept a guest", "its hello is larger than the protocol allows", 0};
  std::vector<std::byte> hello(header.helloBytes);
  if (Status got = readExactly(socket.get(), hello, deadline); !got) return got.error();
  return PendingGuest(std::move(socket), carrier, std::move(hello));
}

void refuseConnection(UniqueFd socket, int32_t code, std::string_view text) {
  sendRefusal(socket, Outcome::Refused, code, text);
}

}  // namespace vgpu::transport
