#include "mediator/executor/execution.h"

#include <gmock/gmock.h>

#include <future>

#include "mediator/executor/testing/test_session.h"

namespace vgpu::executor {
namespace {

using ::testing::ElementsAre;
using namespace std::chrono_literals;
namespace call = protocol::call;
namespace messages = protocol::messages;

// Until the dispatcher has taken everything that was posted.
void settle(TestSession& session, uint16_t thread = 9) {
  EXPECT_EQ(session.call(call::ExchangeCaptureMode, messages::ExchangeCaptureMode{0}, thread), CUDA_SUCCESS);
}

TEST(Execution, LaunchesUploadsAndDownloadsInOrder) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  const uint64_t function = session.makeFunction();
  ASSERT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range(), 1 << 20, 0, 0}), CUDA_SUCCESS);
  EXPECT_EQ(session.statistics->allocatedBytes.load(), 1u << 20);

  std::vector<std::byte> sent(100'000), got(100'000);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 7);
  session.guest->postWithData(call::CopyUpload, 0,
                              TestSession::bytesOf(messages::CopyUpload{session.range() + 64, stream}), sent);
  session.launch(function, stream, 5);
  const auto download = session.guest->beginDownload(
      call::CopyDownload, 0,
      TestSession::bytesOf(messages::CopyDownload{session.range() + 64, sent.size(), stream}), got);
  const auto reply = session.guest->finishDownload(download);
  EXPECT_EQ(reply.status, CUDA_SUCCESS);
  EXPECT_EQ(reply.payloadBytes, got.size());
  EXPECT_EQ(got, sent);
  EXPECT_THAT(session.driver.done(), ElementsAre("copy", "launch 5", "copy"));
  EXPECT_EQ(session.call(call::UnmapDevice, messages::UnmapDevice{session.range()}), CUDA_SUCCESS);
  EXPECT_EQ(session.statistics->allocatedBytes.load(), 0u);
}

TEST(Execution, ABusyStreamNeverKeepsAWindowSlot) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  ASSERT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range(), 16 << 20, 0, 0}),
            CUDA_SUCCESS);
  settle(session);
  const CUstream native = session.driver.streams().at(0);
  session.driver.stop(native);
  const uint64_t function = session.makeFunction();
  session.launch(function, stream, 1);
  std::vector<std::byte> piece(session.guest->limits().slotBytes);
  const unsigned pieces = session.guest->limits().slots * 2;
  for (unsigned i = 0; i < pieces; ++i) {
    std::fill(piece.begin(), piece.end(), static_cast<std::byte>(i));
    const messages::CopyUpload upload{session.range() + i * piece.size(), stream};
    ASSERT_NE(session.guest->postWithData(call::CopyUpload, 0, TestSession::bytesOf(upload), piece), 0u);
  }
  settle(session);
  EXPECT_THAT(session.driver.done(), ElementsAre());
  session.driver.go(native);
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS);
  for (unsigned i = 0; i < pieces; ++i) {
    EXPECT_EQ(*reinterpret_cast<std::byte*>(session.range() + i * piece.size() + 17),
              static_cast<std::byte>(i));
  }
}

TEST(Execution, OneStreamIsHeldWhileOthersGoOn) {
  TestSession session;
  session.useContext();
  const uint64_t held = session.makeStream(0), other = session.makeStream(1);
  const uint64_t function = session.makeFunction();
  session.admission.held = held;
  session.launch(function, held, 1);
  session.launch(function, other, 2);
  session.launch(function, held, 3);
  EXPECT_EQ(session.synchronize(other), CUDA_SUCCESS);
  EXPECT_THAT(session.driver.done(), ElementsAre("launch 2"));
  // A wait for the held stream begins when what it covers has started.
  auto waiting = std::async(std::launch::async, [&] { return session.synchronize(held, 1); });
  EXPECT_EQ(waiting.wait_for(20ms), std::future_status::timeout);
  session.admission.held = 0;
  session.execution->wake();
  EXPECT_EQ(waiting.get(), CUDA_SUCCESS);
  EXPECT_THAT(session.driver.done(), ElementsAre("launch 2", "launch 1", "launch 3"));
}

TEST(Execution, AWaitForAnEventOfAHeldStreamIsHeldToo) {
  TestSession session;
  session.useContext();
  const uint64_t held = session.makeStream(0), other = session.makeStream(1);
  const uint64_t function = session.makeFunction(), event = session.makeEvent(0);
  session.admission.held = held;
  session.launch(function, held, 1);
  session.post(call::EventRecord, messages::EventRecord{event, held, ~0u, 0});
  struct {
    uint64_t stream, event;
    uint32_t flags, padding;
  } wait{other, event, 0, 0};
  session.guest->post(call::cuStreamWaitEvent, 0, TestSession::bytesOf(wait).first(20));
  session.launch(function, other, 2);
  // Destroyed while operations that name it are held: they still find it.
  session.post(call::cuEventDestroy_v2, event);
  settle(session);
  EXPECT_THAT(session.driver.done(), ElementsAre());
  session.admission.held = 0;
  session.execution->wake();
  EXPECT_EQ(session.synchronize(other), CUDA_SUCCESS);
  EXPECT_THAT(session.driver.done(), ElementsAre("launch 1", "record", "wait", "launch 2"));
}

TEST(Execution, AWaitHoldsUpNoOtherThread) {
  TestSession session;
  session.useContext();
  session.post(call::ThreadContext, messages::ThreadContext{TestSession::kContext}, 1);
  const uint64_t slow = session.makeStream(0), quick = session.makeStream(1);
  const uint64_t function = session.makeFunction();
  settle(session);
  const CUstream native = session.driver.streams().at(0);
  session.driver.stop(native);
  session.launch(function, slow, 1);
  auto waiting = std::async(std::launch::async, [&] { return session.synchronize(slow, 1); });
  EXPECT_EQ(waiting.wait_for(20ms), std::future_status::timeout);
  session.launch(function, quick, 2);
  EXPECT_EQ(session.synchronize(quick), CUDA_SUCCESS);
  session.driver.go(native);
  EXPECT_EQ(waiting.get(), CUDA_SUCCESS);
}

TEST(Execution, ADownloadFromABusyStreamComesWhenItsTurnHasCome) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  ASSERT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range(), 1 << 20, 0, 0}), CUDA_SUCCESS);
  const uint64_t function = session.makeFunction();
  const CUstream native = session.driver.streams().at(0);
  session.driver.stop(native);
  session.launch(function, stream, 1);
  session.driver.enqueue(native, [&] { std::memset(reinterpret_cast<void*>(session.range()), 0x5a, 5000); });
  std::vector<std::byte> got(5000);
  const auto download = session.guest->beginDownload(
      call::CopyDownload, 0,
      TestSession::bytesOf(messages::CopyDownload{session.range(), got.size(), stream}), got);
  settle(session);
  session.driver.go(native);
  EXPECT_EQ(session.guest->finishDownload(download).status, CUDA_SUCCESS);
  EXPECT_EQ(got, std::vector<std::byte>(5000, std::byte{0x5a}));
}

TEST(Execution, AFailureOfPostedWorkSurfacesAtTheNextWaitOfItsContext) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  const uint64_t function = session.makeFunction();
  session.driver.failNextLaunch(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  session.launch(function, stream, 1);
  session.launch(function, stream, 2);
  EXPECT_EQ(session.synchronize(stream), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS);
  EXPECT_THAT(session.driver.done(), ElementsAre("launch 2"));
}

TEST(Execution, APostedRowIsAnsweredInStrictMode) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  const uint64_t function = session.makeFunction();
  messages::Launch launch{};
  launch.function = function;
  launch.stream = stream;
  launch.grid[0] = 1;
  session.driver.failNextLaunch(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  EXPECT_EQ(session.call(call::Launch | protocol::kWantsReply, launch), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  EXPECT_EQ(session.call(call::Launch | protocol::kWantsReply, launch), CUDA_SUCCESS);
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS) << "what was answered is not kept as well";
}

TEST(Execution, AMarkRetiresWhenAllBeforeItIsDone) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  const uint64_t function = session.makeFunction();
  const CUstream native = session.driver.streams().at(0);
  session.driver.stop(native);
  session.launch(function, stream, 1);
  const uint64_t mark = session.post(call::Mark, messages::Mark{stream, 3, 0});
  settle(session);
  EXPECT_LT(session.guest->retired(3), mark);
  session.driver.go(native);
  EXPECT_EQ(session.guest->waitRetired(3, mark), transport::Wait::Ready);
}

TEST(Execution, AMarkRetiresAlsoWhenTheContextHasFailed) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  const uint64_t function = session.makeFunction();
  const CUstream native = session.driver.streams().at(0);
  session.driver.stop(native);
  session.launch(function, stream, 1);
  const uint64_t mark = session.post(call::Mark, messages::Mark{stream, 3, 0});
  settle(session);
  session.driver.failContext(CUDA_ERROR_ILLEGAL_ADDRESS);
  session.driver.go(native);
  EXPECT_EQ(session.guest->waitRetired(3, mark), transport::Wait::Ready);
  transport::Event event;
  ASSERT_EQ(session.guest->waitEvent(event, 5s), transport::Wait::Ready);
  EXPECT_EQ(event.kind, static_cast<uint16_t>(protocol::events::EventKind::ContextFailed));
  EXPECT_EQ(session.synchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  session.driver.failContext(CUDA_SUCCESS);
}

TEST(Execution, AHostFunctionHoldsItsStreamUntilTheGuestHasRunIt) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0), other = session.makeStream(1);
  const uint64_t function = session.makeFunction();
  session.launch(function, stream, 1);
  session.post(call::HostFunction, messages::HostFunction{stream, 77});
  session.launch(function, stream, 2);
  session.launch(function, other, 3);
  session.guest->flush();
  transport::Event event;
  ASSERT_EQ(session.guest->waitEvent(event, 5s), transport::Wait::Ready);
  EXPECT_EQ(session.synchronize(other), CUDA_SUCCESS);
  EXPECT_THAT(session.driver.done(), ElementsAre("launch 1", "launch 3"));
  session.post(call::HostFunctionDone, messages::HostFunctionDone{77}, 5);
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS);
  EXPECT_THAT(session.driver.done(), ElementsAre("launch 1", "launch 3", "launch 2"));
}

TEST(Execution, AStreamThatIsFarBehindIsHeldBeforeItsDriverIsFull) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0), other = session.makeStream(1);
  const uint64_t function = session.makeFunction();
  const CUstream native = session.driver.streams().at(0);
  session.driver.stop(native);
  constexpr uint32_t kLaunches = 3000;
  for (uint32_t i = 1; i <= kLaunches; ++i) session.launch(function, stream, i);
  session.launch(function, other, 70000);
  EXPECT_EQ(session.synchronize(other), CUDA_SUCCESS);
  EXPECT_THAT(session.driver.done(), ElementsAre("launch 70000"));
  auto waiting = std::async(std::launch::async, [&] { return session.synchronize(stream, 1); });
  settle(session);
  session.driver.go(native);
  EXPECT_EQ(waiting.get(), CUDA_SUCCESS);
  std::vector<std::string> launches;
  for (const std::string& what : session.driver.done()) {
    if (what != "record" && what != "launch 70000") launches.push_back(what);
  }
  ASSERT_EQ(launches.size(), kLaunches);
  for (uint32_t i = 0; i < kLaunches; ++i) EXPECT_EQ(launches[i], "launch " + std::to_string(i + 1));
}

TEST(Execution, FreeingWaitsForTheContext) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  const uint64_t function = session.makeFunction();
  ASSERT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range(), 1 << 20, 0, 0}), CUDA_SUCCESS);
  const CUstream native = session.driver.streams().at(0);
  session.driver.stop(native);
  session.launch(function, stream, 1);
  auto freeing = std::async(std::launch::async, [&] {
    return session.call(call::UnmapDevice, messages::UnmapDevice{session.range()});
  });
  EXPECT_EQ(freeing.wait_for(20ms), std::future_status::timeout);
  settle(session);
  session.driver.go(native);
  EXPECT_EQ(freeing.get(), CUDA_SUCCESS);
}

TEST(Execution, TheSessionsMemoryLimitIsKept) {
  TestSession session;
  session.useContext();
  EXPECT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range(), 24 << 20, 0, 0}),
            CUDA_SUCCESS);
  EXPECT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range() + (32 << 20), 16 << 20, 0, 0}),
            CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range() + (32 << 20), 8 << 20, 0, 0}),
            CUDA_SUCCESS);
}

TEST(Execution, PinnedMemoryIsOneMemoryOnBothSides) {
  TestSession session;
  session.useContext();
  ASSERT_EQ(session.call(call::HostAlloc, messages::HostAlloc{session.range(), 8192, 0, 5}), CUDA_SUCCESS);
  auto mapped = session.guest->mapShared(5, nullptr, 8192);
  ASSERT_TRUE(mapped.ok()) << mapped.error().message();
  mapped->data()[100] = std::byte{42};
  EXPECT_EQ(*reinterpret_cast<std::byte*>(session.range() + 100), std::byte{42});
  EXPECT_EQ(session.call(call::HostFree, messages::HostFree{session.range()}), CUDA_SUCCESS);
}

TEST(Execution, HostMemoryOfAByteStreamIsWrittenAndReadByRecords) {
  TestSession session(true);
  session.useContext();
  ASSERT_EQ(session.call(call::HostAlloc, messages::HostAlloc{session.range(), 8192, 0, 5}), CUDA_SUCCESS);
  const std::vector<std::byte> bytes(3000, std::byte{7});
  session.guest->postWithData(call::WriteHost, 0,
                              TestSession::bytesOf(messages::WriteHost{session.range() + 5}), bytes);
  std::vector<std::byte> got(3000);
  const auto download = session.guest->beginDownload(
      call::ReadHost, 0, TestSession::bytesOf(messages::ReadHost{session.range() + 5, got.size()}), got);
  EXPECT_EQ(session.guest->finishDownload(download).status, CUDA_SUCCESS);
  EXPECT_EQ(got, bytes);
}

// Over a byte stream, with a driver whose memory the processor may write: bytes are received where they
// belong.
struct DirectUploads : ::testing::Test {
  void SetUp() override {
    session.useContext();
    stream = session.makeStream(0);
    ASSERT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range(), 1 << 20, 0, 0}),
              CUDA_SUCCESS);
    for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 7);
  }
  void upload(uint64_t to) {
    session.guest->postWithData(call::CopyUpload, 0, TestSession::bytesOf(messages::CopyUpload{to, stream}),
                                sent);
  }
  bool arrived(uint64_t at) {
    return std::memcmp(reinterpret_cast<void*>(at), sent.data(), sent.size()) == 0;
  }

  TestSession session{true, uint64_t{16} << 20, true};
  uint64_t stream = 0;
  std::vector<std::byte> sent = std::vector<std::byte>(100'000);
};

TEST_F(DirectUploads, AnIdleStreamsBytesNeedNoCopy) {
  for (int i = 0; i < 40; ++i) upload(session.range() + 64);  // more than there are slots
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS);
  EXPECT_TRUE(arrived(session.range() + 64));
  EXPECT_THAT(session.driver.done(), ElementsAre());
}

TEST_F(DirectUploads, ABusyStreamsBytesComeInTheirTurn) {
  const uint64_t function = session.makeFunction();
  const CUstream native = session.driver.streams().at(0);
  session.driver.stop(native);
  session.launch(function, stream, 1);
  upload(session.range());
  settle(session);
  EXPECT_FALSE(arrived(session.range()));
  session.driver.go(native);
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS);
  EXPECT_TRUE(arrived(session.range()));
  EXPECT_THAT(session.driver.done(), ElementsAre("launch 1", "copy"));
}

TEST_F(DirectUploads, AHeldStreamsBytesComeInTheirTurn) {
  session.admission.held = stream;
  upload(session.range());
  settle(session);
  EXPECT_FALSE(arrived(session.range()));
  session.admission.held = 0;
  session.execution->wake();
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS);
  EXPECT_TRUE(arrived(session.range()));
}

TEST_F(DirectUploads, NothingIsWrittenBeyondAnAllocation) {
  upload(session.range() + (1 << 20) - 50'000);
  EXPECT_EQ(session.synchronize(stream), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS);
}

TEST_F(DirectUploads, AFailedContextRefusesThem) {
  session.driver.failContext(CUDA_ERROR_ILLEGAL_ADDRESS);
  upload(session.range());
  EXPECT_EQ(session.synchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(Execution, AnUnknownRowIsNotSupportedAndCounted) {
  TestSession session;
  EXPECT_EQ(session.call(0x0fff, uint64_t{0}), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(session.call(0x0fff, uint64_t{0}), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(session.statistics->unknownCalls.load(), 2u);
}

TEST(Execution, ARecordThatIsCutShortEndsTheSession) {
  TestSession session;
  session.guest->post(call::Launch, 0, TestSession::bytesOf(uint64_t{1}));
  session.guest->flush();
  session.waitForEnd();
  EXPECT_EQ(session.end, Execution::End::Violation);
  EXPECT_EQ(session.statistics->rejectedRecords.load(), 1u);
}

TEST(Execution, AHandleThatCannotExistEndsTheSession) {
  TestSession session;
  session.useContext();
  session.post(call::cuEventDestroy_v2, uint64_t{0x7fff'1234'5678});
  session.guest->flush();
  session.waitForEnd();
  EXPECT_EQ(session.end, Execution::End::Violation);
}

TEST(Execution, AnAddressOutsideTheRangeEndsTheSession) {
  TestSession session;
  session.useContext();
  session.post(call::MapDevice, messages::MapDevice{0x1000, 1 << 20, 0, 0});
  session.guest->flush();
  session.waitForEnd();
  EXPECT_EQ(session.end, Execution::End::Violation);
}

TEST(Execution, ACopyBeyondAnAllocationIsRefusedAndTheSessionGoesOn) {
  TestSession session;
  session.useContext();
  const uint64_t stream = session.makeStream(0);
  ASSERT_EQ(session.call(call::MapDevice, messages::MapDevice{session.range(), 4096, 0, 0}), CUDA_SUCCESS);
  const std::vector<std::byte> bytes(100);
  session.guest->postWithData(
      call::CopyUpload, 0, TestSession::bytesOf(messages::CopyUpload{session.range() + 4090, stream}), bytes);
  EXPECT_EQ(session.synchronize(stream), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(session.synchronize(stream), CUDA_SUCCESS);
}

}  // namespace
}  // namespace vgpu::executor
