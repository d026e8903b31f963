// TestSession: an Execution over a fake driver, and the guest's end of its channel, in one process. Test
// code.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "base/mapping.h"
#include "mediator/executor/execution.h"
#include "mediator/executor/testing/fake_driver.h"
#include "protocol/marshal/hello.h"
#include "transport/carrier/accept.h"
#include "transport/carrier/connect.h"

namespace vgpu::executor {

class HoldingAdmission final : public Admission {
 public:
  bool mayStart(const StreamQueue& stream) override { return stream.id != held.load(); }
  std::atomic<uint64_t> held{0};
};

class TestSession {
 public:
  static constexpr uint64_t kRangeBytes = uint64_t{64} << 20;

  explicit TestSession(bool stream = false, uint64_t spillBytes = uint64_t{16} << 20,
                       bool hostAddresses = false) {
    if (hostAddresses) driver.offerHostAddresses();
    connect(stream);
    range_ = *reserveAt(protocol::kRangeCandidates[0], kRangeBytes);
    ExecutionSettings settings;
    settings.rangeBase = range();
    settings.rangeBytes = kRangeBytes;
    settings.spillBytes = spillBytes;
    settings.memoryBytes = uint64_t{32} << 20;
    execution = std::make_unique<Execution>(driver.table(), *host_, *statistics, admission, settings);
    serving_ = std::thread([this] { end = execution->run(); });
  }
  ~TestSession() {
    finish();
    execution.reset();
  }

  // The guest goes away; afterwards `end` says how the session ended.
  void finish() {
    guest.reset();
    if (serving_.joinable()) serving_.join();
  }
  void waitForEnd() {
    if (serving_.joinable()) serving_.join();
  }

  template <class Message>
  uint64_t post(uint16_t number, const Message& message, uint16_t thread = 0) {
    return guest->post(number, thread, bytesOf(message));
  }
  template <class Message>
  CUresult call(uint16_t number, const Message& message, uint16_t thread = 0) {
    return static_cast<CUresult>(guest->call(number, thread, bytesOf(message), {}).status);
  }
  template <class Message>
  static std::span<const std::byte> bytesOf(const Message& message) {
    return std::as_bytes(std::span(&message, 1));
  }
  // A context current on guest thread 0.
  void useContext() {
    ASSERT_EQ(call(protocol::call::PrimaryRetain, protocol::messages::PrimaryRetain{kContext, 0, 0}),
              CUDA_SUCCESS);
    post(protocol::call::ThreadContext, protocol::messages::ThreadContext{kContext});
  }
  uint64_t makeStream(uint32_t index, unsigned flags = CU_STREAM_NON_BLOCKING) {
    struct {
      uint64_t handle;
      uint32_t flags;
      int32_t priority;
    } arguments{Handle(Kind::Stream, 1, index).bits(), flags, 0};
    post(protocol::call::cuStreamCreateWithPriority, arguments);
    return arguments.handle;
  }
  uint64_t makeEvent(uint32_t index) {
    struct {
      uint64_t handle;
      uint32_t flags, padding;
    } arguments{Handle(Kind::Event, 1, index).bits(), 0, 0};
    guest->post(protocol::call::cuEventCreate, 0, bytesOf(arguments).first(12));
    return arguments.handle;
  }
  uint64_t makeFunction();
  void launch(uint64_t function, uint64_t stream, uint32_t grid) {
    protocol::messages::Launch message{};
    message.function = function;
    message.stream = stream;
    message.grid[0] = grid;
    post(protocol::call::Launch, message);
  }
  CUresult synchronize(uint64_t stream, uint16_t thread = 0) {
    return call(protocol::call::cuStreamSynchronize, stream, thread);
  }
  uint64_t range() const { return reinterpret_cast<uint64_t>(range_.data()); }

  static constexpr uint64_t kContext = Handle(Kind::Context, 1, 0).bits();

  FakeDriver driver;
  HoldingAdmission admission;
  std::unique_ptr<link::StatisticsPage> statistics = std::make_unique<link::StatisticsPage>();
  std::unique_ptr<Execution> execution;
  std::unique_ptr<transport::GuestChannel> guest;
  Execution::End end = Execution::End::Lost;

 private:
  void connect(bool stream) {
    char folder[] = "/tmp/vgpu-executor-XXXXXX";
    ::mkdtemp(folder);
    const std::string path = std::string(folder) + "/socket";
    const auto endpoint = *transport::parseEndpoint((stream ? "unix-stream:" : "unix:") + path);
    UniqueFd listener = *transport::listenOn(endpoint);
    std::thread hosting([&] {
      UniqueFd socket;
      while (!socket.valid()) {
        socket = UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket.valid()) ::usleep(200);
      }
      auto pending = transport::accept(std::move(socket));
      ASSERT_TRUE(pending.ok());
      transport::ChannelLimits limits;
      limits.threads = 64;
      host_ = *(*std::move(pending)).welcome({}, limits);
    });
    auto connected = transport::connect(endpoint, {});
    hosting.join();
    guest = std::move(connected.channel);
    ::unlink(path.c_str());
    ::rmdir(folder);
  }

  Mapping range_;
  std::unique_ptr<transport::HostChannel> host_;
  std::thread serving_;
};

inline uint64_t TestSession::makeFunction() {
  namespace call_number = protocol::call;
  const uint64_t module = Handle(Kind::Module, 1, 0).bits(), function = Handle(Kind::Function, 1, 0).bits();
  const char image[] = "image";
  const protocol::messages::BlobAppend append{1, 0, sizeof image};
  guest->postWithData(call_number::BlobAppend, 0, bytesOf(append), std::as_bytes(std::span(image)));
  protocol::messages::ModuleLoad load{};
  load.module = module;
  load.blob = 1;
  EXPECT_EQ(call(call_number::ModuleLoad, load), CUDA_SUCCESS);
  std::array<std::byte, 64> space;
  protocol::Encoder arguments(space);
  arguments.put(protocol::messages::ModuleGetFunction{module, function});
  arguments.putString("kernel");
  std::array<std::byte, 4096> info;
  EXPECT_EQ(guest->call(call_number::ModuleGetFunction, 0, arguments.bytes(), info).status, CUDA_SUCCESS);
  return function;
}

}  // namespace vgpu::executor
