#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "tests/bench/floors.h"

namespace vgpu::bench {

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::pair<int, int> connectedPair(Socket kind) {
  int pair[2] = {-1, -1};
  if (kind == Socket::Unix) {
    ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    return {pair[0], pair[1]};
  }
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  pair[0] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 1) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      ::connect(pair[0], reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::perror("a pair of TCP sockets on the loopback");
    std::exit(1);
  }
  pair[1] = ::accept(listener, nullptr, nullptr);
  ::close(listener);
  const int one = 1;
  for (const int socket : pair) ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return {pair[0], pair[1]};
}

// False at the end of the connection.
bool receivePolling(int socket, char* into, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t got = ::recv(socket, into + done, bytes - done, MSG_DONTWAIT);
    if (got == 0) return false;
    if (got < 0 && errno != EAGAIN) return false;
    if (got > 0) done += static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

double socketPingPong(Socket kind) {
  const auto [near, far] = connectedPair(kind);
  std::thread answering([socket = far] {
    char record[64];
    while (receivePolling(socket, record, sizeof record)) ::send(socket, record, sizeof record, MSG_NOSIGNAL);
  });
  std::vector<double> times;
  char record[64] = {};
  for (int batch = 0; batch < 200; ++batch) {
    constexpr int kTurns = 50;
    const auto start = Clock::now();
    for (int i = 0; i < kTurns; ++i) {
      ::send(near, record, sizeof record, MSG_NOSIGNAL);
      receivePolling(near, record, sizeof record);
    }
    times.push_back(secondsSince(start) / kTurns);
  }
  ::shutdown(near, SHUT_RDWR);
  answering.join();
  ::close(near);
  ::close(far);
  return median(times);
}

double socketBandwidth(Socket kind) {
  const auto [near, far] = connectedPair(kind);
  constexpr size_t kChunk = 256 * 1024;
  constexpr size_t kTotal = size_t{128} << 20;
  std::atomic<size_t> received{0};
  std::thread receiving([&, socket = far] {
    std::vector<char> buffer(kChunk);
    for (;;) {
      const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
      if (got <= 0) return;
      received.fetch_add(static_cast<size_t>(got));
    }
  });
  std::vector<double> times;
  constexpr size_t kSource = size_t{64} << 20;  // not in the cache, as a program's data
  std::vector<char> source(kSource + kChunk, 1);
  size_t sentBytes = 0;
  for (size_t batch = 1; batch <= 5; ++batch) {
    const auto start = Clock::now();
    while (sentBytes < kTotal * batch) {
      const ssize_t sent = ::send(near, source.data() + sentBytes % kSource, kChunk, MSG_NOSIGNAL);
      if (sent > 0) sentBytes += static_cast<size_t>(sent);
    }
    while (received.load() < sentBytes) std::this_thread::yield();
    times.push_back(secondsSince(start));
  }
  ::shutdown(near, SHUT_RDWR);
  receiving.join();
  ::close(near);
  ::close(far);
  return kTotal / median(times);
}

}  // namespace vgpu::bench
