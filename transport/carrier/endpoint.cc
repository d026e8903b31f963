#include "transport/carrier/endpoint.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstddef>

#include "transport/carrier/addresses.h"

namespace vgpu::transport {

namespace {

constexpr std::string_view kForms = "expected unix:/path, unix-stream:/path or tcp:host:port";

Error badEndpoint(std::string_view text, std::string cause) {
  return Error{"endpoint '" + std::string(text) + "'", std::move(cause), EINVAL};
}

bool consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

Result<Endpoint> parseUnix(std::string_view whole, std::string_view path, CarrierKind carrier) {
  if (path.empty() || path.front() != '/')
    return badEndpoint(whole, "the path must be absolute: /run/vgpu/mediator.sock");
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return badEndpoint(whole, "the path is longer than the " +
                                  std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                                  " bytes that a unix socket allows");
  if (path.find('\0') != std::string_view::npos) return badEndpoint(whole, "the path contains a zero byte");
  Endpoint endpoint;
  endpoint.carrier = carrier;
  endpoint.path = path;
  return endpoint;
}

Result<Endpoint> parseTcp(std::string_view whole, std::string_view rest) {
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return badEndpoint(whole, "the port is missing: tcp:host:port");
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return badEndpoint(whole, "an IPv6 address needs brackets: tcp:[::1]:port");
  if (host.empty()) return badEndpoint(whole, "the host is missing: tcp:host:port");
  unsigned value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  if (error != std::errc() || end != port.data() + port.size() || value > 65535)
    return badEndpoint(whole, "'" + std::string(port) + "' is no port: 0 to 65535");
  Endpoint endpoint;
  endpoint.family = Endpoint::Family::Tcp;
  endpoint.carrier = CarrierKind::Stream;
  endpoint.host = host;
  endpoint.port = static_cast<uint16_t>(value);
  return endpoint;
}

bool somebodyListens(const SocketAddress& address) {
  UniqueFd probe(::socket(address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return probe.valid() && (::connect(probe.get(), address.get(), address.length) == 0 || errno == EAGAIN ||
                           errno == EINPROGRESS);
}

}  // namespace

std::string Endpoint::text() const {
  if (family == Family::Unix) return (carrier == CarrierKind::Memfd ? "unix:" : "unix-stream:") + path;
  const bool brackets = host.find(':') != std::string::npos;
  return "tcp:" + (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> parseEndpoint(std::string_view text) {
  std::string_view rest = text;
  if (consume(rest, "unix-stream:")) return parseUnix(text, rest, CarrierKind::Stream);
  if (consume(rest, "unix:")) return parseUnix(text, rest, CarrierKind::Memfd);
  if (consume(rest, "tcp:")) return parseTcp(text, rest);
  if (text.empty()) return badEndpoint(text, "it is empty; " + std::string(kForms));
  return badEndpoint(text, "its kind is unknown; " + std::string(kForms));
}

Result<std::vector<SocketAddress>> addressesOf(const Endpoint& endpoint, bool toListen) {
  if (endpoint.family == Endpoint::Family::Unix) {
    SocketAddress address;
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    endpoint.path.copy(local.sun_path, sizeof local.sun_path - 1);
    std::memcpy(&address.storage, &local, sizeof local);
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + endpoint.path.size() + 1);
    address.family = AF_UNIX;
    return std::vector{address};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (toListen ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint.port);
  if (const int failed = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found); failed != 0)
    return Error{"look up host '" + endpoint.host + "'", ::gai_strerror(failed), ENOENT};
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one; one = one->ai_next) {
    SocketAddress& address = addresses.emplace_back();
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.length = one->ai_addrlen;
    address.family = one->ai_family;
  }
  ::freeaddrinfo(found);
  return addresses;
}

Result<UniqueFd> listenOn(const Endpoint& endpoint, unsigned mode) {
  const std::string operation = "listen on " + endpoint.text();
  Result<std::vector<SocketAddress>> addresses = addressesOf(endpoint, true);
  if (!addresses) return Error{operation, addresses.error().cause, addresses.error().code};
  const SocketAddress& address = addresses->front();
  UniqueFd socket(::socket(address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return errnoError(operation);
  if (endpoint.family == Endpoint::Family::Tcp) {
    const int one = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  }
  if (::bind(socket.get(), address.get(), address.length) != 0) {
    if (errno != EADDRINUSE || endpoint.family != Endpoint::Family::Unix) return errnoError(operation);
    if (somebodyListens(address)) return Error{operation, "another mediator is listening there", EADDRINUSE};
    struct stat about{};
    // Only a socket is replaced: a mistyped path must not cost a user's file.
    if (::lstat(endpoint.path.c_str(), &about) != 0 || !S_ISSOCK(about.st_mode))
      return Error{operation, "a file that is not a socket is in the way", EADDRINUSE};
    ::unlink(endpoint.path.c_str());
    if (::bind(socket.get(), address.get(), address.length) != 0) return errnoError(operation);
  }
  if (endpoint.family == Endpoint::Family::Unix) ::chmod(endpoint.path.c_str(), static_cast<mode_t>(mode));
  if (::listen(socket.get(), SOMAXCONN) != 0) return errnoError(operation);
  return socket;
}

Result<uint16_t> boundPort(int listener) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &length) != 0)
    return errnoError("look at a listener");
  if (bound.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
  if (bound.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port);
  return Error{"look at a listener", "it has no port", 0};
}

}  // namespace vgpu::transport
