// What the channel's tests share: a connected pair of ends over each carrier, in one process, and a small
// host that answers by its call numbers. Test code.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "transport/carrier/accept.h"
#include "transport/carrier/connect.h"

namespace vgpu::transport {

inline std::vector<std::byte> bytesFrom(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}
inline std::string textFrom(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::vector<std::byte> pattern(size_t bytes, unsigned seed) {
  std::vector<std::byte> out(bytes);
  uint32_t state = seed * 2654435761u + 1;
  for (std::byte& one : out) {
    state = state * 1664525u + 1013904223u;
    one = static_cast<std::byte>(state >> 24);
  }
  return out;
}

enum class Kind { Memfd, UnixStream, Tcp };

inline std::string kindName(Kind kind) {
  return kind == Kind::Memfd ? "memfd" : kind == Kind::UnixStream ? "unix_stream" : "tcp";
}

// A listener of its own address for one test.
class Listener {
 public:
  explicit Listener(Kind kind) {
    if (kind != Kind::Tcp) {
      char folder[] = "/tmp/vgpu-channel-XXXXXX";
      folder_ = ::mkdtemp(folder);
    }
    endpoint_ = *parseEndpoint(kind == Kind::Tcp
                                   ? "tcp:127.0.0.1:0"
                                   : (kind == Kind::Memfd ? "unix:" : "unix-stream:") + folder_ + "/socket");
    Result<UniqueFd> listening = listenOn(endpoint_);
    EXPECT_TRUE(listening.ok()) << (listening ? "" : listening.error().message());
    socket_ = *std::move(listening);
    if (kind == Kind::Tcp) endpoint_.port = *boundPort(socket_.get());
  }
  ~Listener() {
    if (folder_.empty()) return;
    ::unlink((folder_ + "/socket").c_str());
    ::rmdir(folder_.c_str());
  }
  const Endpoint& endpoint() const { return endpoint_; }
  UniqueFd acceptSocket() {
    for (;;) {
      UniqueFd socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (socket.valid() || errno != EAGAIN) return socket;
      ::usleep(200);
    }
  }
  void stop() { socket_.reset(); }

 private:
  std::string folder_;
  Endpoint endpoint_;
  UniqueFd socket_;
};

class ChannelTest : public testing::TestWithParam<Kind> {
 protected:
  void connectPair(const ChannelLimits& limits = {}) {
    std::thread hosting([&] {
      Result<PendingGuest> pending = accept(listener_.acceptSocket());
      ASSERT_TRUE(pending.ok()) << pending.error().message();
      helloSeen_ = textFrom(pending->hello());
      Result<std::unique_ptr<HostChannel>> made = (*std::move(pending)).welcome(bytesFrom("welcome"), limits);
      ASSERT_TRUE(made.ok()) << made.error().message();
      host_ = *std::move(made);
    });
    Connected connected = connect(listener_.endpoint(), bytesFrom("hello"));
    hosting.join();
    ASSERT_TRUE(connected.channel) << connected.error->message;
    guest_ = std::move(connected.channel);
    welcomeSeen_ = textFrom(connected.welcome);
  }

  // Runs `handle` for each record on a thread until the session ends.
  template <class Handle>
  void serve(Handle&& handle) {
    server_ = std::thread([this, handle] {
      auto record = std::make_unique<IncomingRecord>();
      for (;;) {
        const Next next = host_->next(*record);
        if (next == Next::Interrupted) continue;
        if (next != Next::Record) {
          ended_ = next;
          return;
        }
        handle(*record);
      }
    });
  }
  // After this nothing of the test's is used by the serving thread any more.
  void endSession() {
    guest_.reset();
    if (server_.joinable()) server_.join();
  }
  void TearDown() override {
    endSession();
    host_.reset();
  }

  Listener listener_{GetParam()};
  std::string helloSeen_, welcomeSeen_;
  std::unique_ptr<HostChannel> host_;
  std::unique_ptr<GuestChannel> guest_;
  std::thread server_;
  Next ended_ = Next::Record;
};

inline std::string nameOf(const testing::TestParamInfo<Kind>& info) { return kindName(info.param); }

}  // namespace vgpu::transport
