// Guests and hosts that break the rules, over real sockets: what they do ends their own session with a
// reason, and nothing else.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "base/fd_passing.h"
#include "transport/carrier/channel_fixture.h"
#include "transport/carrier/frame.h"
#include "transport/carrier/handshake.h"
#include "transport/carrier/sealed_memory.h"
#include "transport/carrier/sockets.h"
#include "transport/ring/layout.h"
#include "transport/ring/record_writer.h"
#include "transport/ring/shared_word.h"

namespace vgpu::transport {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// A guest that does the handshake by hand and then whatever it likes.
class HostileGuest {
 public:
  explicit HostileGuest(CarrierKind carrier)
      : listener_(carrier == CarrierKind::Memfd ? Kind::Memfd : Kind::UnixStream) {
    std::thread hosting([&] {
      Result<PendingGuest> pending = accept(listener_.acceptSocket());
      host = *(*std::move(pending)).welcome({});
    });
    socket = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    listener_.endpoint().path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    HelloHeader hello{};
    hello.magic = kHandshakeMagic;
    hello.version = kProtocolVersion;
    hello.carrier = static_cast<uint8_t>(carrier);
    EXPECT_TRUE(sendWithFds(socket.get(), bytesOf(hello), {}).ok());
    AnswerHeader answer{};
    EXPECT_TRUE(
        readExactly(socket.get(), std::as_writable_bytes(std::span(&answer, 1)), now() + 5s, &fds).ok());
    hosting.join();
    layout = layoutOf(answer.limits);
    if (carrier != CarrierKind::Memfd) return;
    mapping = *mapSealed(fds.at(0).get(), nullptr, layout.totalBytes);
    memory = ChannelMemory(mapping.data(), layout);
  }
  Next next() { return host->next(*record, 2s); }
  // Puts a well-formed record into the ring or the stream; `lie` may change it first.
  template <class Lie>
  void post(const RecordShape& shape, Lie&& lie) {
    std::vector<std::byte> bytes(shape.lines() * kLineBytes);
    writeHeader(bytes.data(), shape, ++sequence);
    lie(*reinterpret_cast<RecordHeader*>(bytes.data()));
    std::memcpy(memory.ring + head * kLineBytes, bytes.data(), bytes.size());
    head += shape.lines();
    storeRelease(&memory.control->submitted, head);
  }
  void post(const RecordShape& shape) {
    post(shape, [](RecordHeader&) {});
  }
  void send(std::span<const std::byte> bytes) { (void)sendWithFds(socket.get(), bytes, {}); }

 private:
  Listener listener_;

 public:
  std::unique_ptr<HostChannel> host;
  std::unique_ptr<IncomingRecord> record = std::make_unique<IncomingRecord>();
  UniqueFd socket;
  std::vector<UniqueFd> fds;
  ChannelLayout layout;
  Mapping mapping;
  ChannelMemory memory;
  uint64_t sequence = 0;
  uint64_t head = 0;
};

TEST(HostileMemoryTest, TheFileCannotBeTruncatedOrGrown) {
  HostileGuest guest(CarrierKind::Memfd);
  EXPECT_NE(::ftruncate(guest.fds.at(0).get(), 0), 0);
  EXPECT_NE(::ftruncate(guest.fds.at(0).get(), 1 << 30), 0);
  EXPECT_NE(::fcntl(guest.fds.at(0).get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_NE(::fallocate(guest.fds.at(0).get(), FALLOC_FL_KEEP_SIZE,
                        static_cast<off_t>(guest.mapping.sizeBytes() * 2), 4096),
            0);
}

TEST(HostileMemoryTest, PunchingHolesOnlyLosesItsOwnData) {
  HostileGuest guest(CarrierKind::Memfd);
  guest.post({.call = 1, .thread = 0});
  ::fallocate(guest.fds.at(0).get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
              static_cast<off_t>(guest.mapping.sizeBytes()));
  const Next next = guest.next();  // the index is gone with the hole, or the record is
  EXPECT_TRUE(next == Next::TimedOut || next == Next::Violation);
  guest.host->reply({.thread = 0, .sequence = 1}, 0);
  guest.host->retire(0, 1);
}

TEST(HostileMemoryTest, RecordsThatLieEndTheSessionWithAReason) {
  const auto violationAfter = [](const RecordShape& shape, auto&& lie) {
    HostileGuest guest(CarrierKind::Memfd);
    guest.post({.call = 1, .thread = 0});
    EXPECT_EQ(guest.next(), Next::Record);
    guest.post(shape, lie);
    EXPECT_EQ(guest.next(), Next::Violation);
    EXPECT_TRUE(guest.host->lost());
    EXPECT_EQ(guest.next(), Next::Lost);
    return guest.host->violation();
  };
  const RecordShape plain{.call = 2, .thread = 0, .argumentBytes = 10};
  EXPECT_THAT(violationAfter(plain, [](RecordHeader& header) { header.lines = 0; }), HasSubstr("length"));
  EXPECT_THAT(violationAfter(plain, [](RecordHeader& header) { header.lines = 100; }), HasSubstr("length"));
  EXPECT_THAT(violationAfter(plain, [](RecordHeader& header) { header.sequence = 9; }),
              HasSubstr("sequence"));
  EXPECT_THAT(violationAfter(plain, [](RecordHeader& header) { header.thread = 5000; }), HasSubstr("thread"));
  EXPECT_THAT(violationAfter(plain, [](RecordHeader& header) { header.call = kPadCall; }),
              HasSubstr("length"));
  EXPECT_THAT(violationAfter({.call = 2, .thread = 0, .slot = 99, .attachment = Attachment::Download},
                             [](RecordHeader&) {}),
              HasSubstr("slot"));
}

TEST(HostileMemoryTest, ASlotThatIsStillInUseCannotBeNamedAgain) {
  HostileGuest guest(CarrierKind::Memfd);
  const RecordShape shape{
      .call = 2, .thread = 0, .slot = 1, .attachment = Attachment::Upload, .dataBytes = 10};
  guest.post(shape);
  EXPECT_EQ(guest.next(), Next::Record);
  guest.post(shape);
  EXPECT_EQ(guest.next(), Next::Violation);
  EXPECT_THAT(guest.host->violation(), HasSubstr("in use"));
}

TEST(HostileMemoryTest, IndicesThatLieEndTheSession) {
  HostileGuest guest(CarrierKind::Memfd);
  storeRelease(&guest.memory.control->submitted, uint64_t{1} << 60);
  EXPECT_EQ(guest.next(), Next::Violation);
}

TEST(HostileMemoryTest, ScribblingOverEverythingWhileTheHostWorksHarmsNobodyElse) {
  HostileGuest guest(CarrierKind::Memfd);
  std::atomic<bool> stop{false};
  std::thread scribbling([&] {
    uint64_t state = 1;
    auto* words = reinterpret_cast<uint64_t*>(guest.mapping.data());
    while (!stop) {
      for (int i = 0; i < 1000; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        storeRelaxed(&words[state >> 20 & (guest.mapping.sizeBytes() / 8 - 1) & 0xfffff], state);
      }
    }
  });
  for (uint64_t i = 1; i < 3000; ++i) {
    guest.host->retire(static_cast<uint32_t>(i % 4096), i);
    guest.host->postEvent(1, bytesFrom("event"));
    guest.host->reply({.thread = static_cast<uint16_t>(i % 1024), .sequence = i}, 0, bytesFrom("x"));
    const Next next = guest.host->next(*guest.record, 0ns);
    if (next == Next::Record && guest.record->slot() != kNoSlot) {
      guest.host->completeDownload(guest.record->replyTo().slot != kNoSlot
                                       ? guest.record->replyTo()
                                       : ReplyTo{.slot = guest.record->slot(), .slotBytes = 1},
                                   0, 1);
    }
  }
  stop = true;
  scribbling.join();
}

TEST(HostileMemoryTest, BytesOnTheSocketEndTheSession) {
  HostileGuest guest(CarrierKind::Memfd);
  guest.send(bytesFrom("unexpected"));
  EXPECT_EQ(guest.next(), Next::Lost);
}

// ---- byte streams

std::vector<std::byte> frameWith(FrameHeader frame, const std::vector<std::byte>& payload) {
  std::vector<std::byte> bytes(sizeof frame + payload.size());
  std::memcpy(bytes.data(), &frame, sizeof frame);
  if (!payload.empty()) std::memcpy(bytes.data() + sizeof frame, payload.data(), payload.size());
  return bytes;
}

std::string violationOf(const FrameHeader& frame, const std::vector<std::byte>& payload) {
  HostileGuest guest(CarrierKind::Stream);
  guest.send(frameWith(frame, payload));
  EXPECT_EQ(guest.next(), Next::Violation);
  EXPECT_EQ(guest.next(), Next::Lost);
  return guest.host->violation();
}

std::vector<std::byte> recordOf(const RecordShape& shape, uint64_t sequence = 1) {
  std::vector<std::byte> bytes(shape.lines() * kLineBytes);
  writeHeader(bytes.data(), shape, sequence);
  return bytes;
}

TEST(HostileStreamTest, FramesThatLieEndTheSessionWithAReason) {
  const auto type = static_cast<uint16_t>(FrameType::Record);
  const std::vector<std::byte> record = recordOf({.call = 1, .thread = 0});
  EXPECT_THAT(violationOf({.type = 99}, {}), HasSubstr("no known kind"));
  EXPECT_THAT(violationOf({.type = static_cast<uint16_t>(FrameType::Reply)}, {}), HasSubstr("no known kind"));
  EXPECT_THAT(violationOf({.type = static_cast<uint16_t>(FrameType::WaitRetired), .stream = 1 << 30}, {}),
              HasSubstr("no known kind"));
  EXPECT_THAT(violationOf({.payloadBytes = 64, .type = type, .index = 2}, record), HasSubstr("shorter"));
  EXPECT_THAT(violationOf({.payloadBytes = 0xffffffff, .type = type, .index = 1}, record),
              HasSubstr("longer"));
  EXPECT_THAT(violationOf({.payloadBytes = 64, .type = type, .index = 0}, record), HasSubstr("shorter"));
  EXPECT_THAT(violationOf({.payloadBytes = 129 * 64, .type = type, .index = 129}, {}), HasSubstr("shorter"));
  EXPECT_THAT(
      violationOf({.payloadBytes = 64, .type = type, .index = 1}, recordOf({.call = 1, .thread = 0}, 5)),
      HasSubstr("sequence"));
  const RecordShape upload{
      .call = 1, .thread = 0, .slot = 2, .attachment = Attachment::Upload, .dataBytes = 10'000};
  EXPECT_THAT(violationOf({.payloadBytes = 64, .type = type, .index = 1}, recordOf(upload)),
              HasSubstr("ends before"));
  EXPECT_THAT(violationOf({.payloadBytes = 64 + 9'999, .type = type, .index = 1}, recordOf(upload)),
              HasSubstr("longer"));
}

std::vector<std::byte> recordFrame(const RecordShape& shape, uint64_t sequence, size_t dataBytes) {
  std::vector<std::byte> payload = recordOf(shape, sequence);
  const auto lines = static_cast<uint16_t>(payload.size() / kLineBytes);
  payload.resize(payload.size() + dataBytes);
  return frameWith({.payloadBytes = static_cast<uint32_t>(payload.size()),
                    .type = static_cast<uint16_t>(FrameType::Record),
                    .index = lines},
                   payload);
}

TEST(HostileStreamTest, AStreamThatEndsAnywhereDeliversWhatIsWholeAndIsLost) {
  std::vector<std::byte> stream;
  std::vector<size_t> ends;
  const auto add = [&](const std::vector<std::byte>& frame, bool record) {
    stream.insert(stream.end(), frame.begin(), frame.end());
    if (record) ends.push_back(stream.size());
  };
  add(recordFrame({.call = 1, .thread = 0, .argumentBytes = 20}, 1, 0), true);
  add(recordFrame({.call = 2, .thread = 0, .slot = 2, .attachment = Attachment::Upload, .dataBytes = 100}, 2,
                  100),
      true);
  add(frameWith({.type = static_cast<uint16_t>(FrameType::WaitRetired), .stream = 1, .sequence = 9}, {}),
      false);
  add(recordFrame({.call = 3, .thread = 0, .slot = 3, .attachment = Attachment::Download, .dataBytes = 9}, 3,
                  0),
      true);
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    HostileGuest guest(CarrierKind::Stream);
    guest.send(std::span(stream).first(cut));
    guest.socket.reset();
    for (const size_t end : ends) {
      if (end <= cut) ASSERT_EQ(guest.next(), Next::Record) << cut;
    }
    ASSERT_EQ(guest.next(), Next::Lost) << cut;
    ASSERT_EQ(guest.host->violation(), "") << cut;
  }
}

TEST(HostileStreamTest, AGuestThatNeverReadsCannotBlockItsExecutor) {
  HostileGuest guest(CarrierKind::Stream);
  const auto start = now();
  uint64_t posted = 0;
  while (guest.host->postEvent(1, pattern(2000, 1)) != 0 && posted < 100'000) ++posted;
  EXPECT_GT(posted, 10'000u);
  EXPECT_LT(posted, 100'000u);  // then the session was ended
  EXPECT_TRUE(guest.host->lost());
  EXPECT_LT(now() - start, 20s);
}

// ---- hosts that lie to the guest

class LyingHostTest : public testing::Test {
 protected:
  void SetUp() override {
    std::thread hosting([&] {
      UniqueFd accepted = listener_.acceptSocket();
      std::array<std::byte, sizeof(HelloHeader)> hello;
      EXPECT_TRUE(readExactly(accepted.get(), hello, now() + 5s).ok());
      EXPECT_TRUE(sendWithFds(accepted.get(), bytesOf(makeWelcome()), {}).ok());
      host_ = std::move(accepted);
    });
    Connected connected = connect(listener_.endpoint(), {});
    hosting.join();
    ASSERT_TRUE(connected.channel);
    guest_ = std::move(connected.channel);
  }
  static AnswerHeader makeWelcome() {
    AnswerHeader answer = makeAnswer(Outcome::Welcome, 0);
    answer.limits = ChannelLimits{};
    return answer;
  }
  void hostSends(FrameHeader frame, size_t payloadBytes) {
    frame.payloadBytes = static_cast<uint32_t>(payloadBytes);
    (void)sendWithFds(host_.get(), frameWith(frame, pattern(payloadBytes, 1)), {});
  }
  bool endsSoon() {
    for (int i = 0; i < 2000 && !guest_->lost(); ++i) std::this_thread::sleep_for(1ms);
    return guest_->lost();
  }
  Listener listener_{Kind::UnixStream};
  UniqueFd host_;
  std::unique_ptr<GuestChannel> guest_;
};

TEST_F(LyingHostTest, ARepliesThatNobodyWaitsForEndsTheSession) {
  hostSends({.type = static_cast<uint16_t>(FrameType::Reply), .index = 0, .sequence = 1}, 8);
  EXPECT_TRUE(endsSoon());
}
TEST_F(LyingHostTest, ADownloadThatNobodyWaitsForEndsTheSession) {
  hostSends({.type = static_cast<uint16_t>(FrameType::Download), .index = 3, .sequence = 1}, 8);
  EXPECT_TRUE(endsSoon());
}
TEST_F(LyingHostTest, ADownloadLargerThanWantedEndsTheSession) {
  std::array<std::byte, 64> out{};
  std::array<std::byte, 16> beyond{};
  const Download download = guest_->beginDownload(1, 0, {}, std::span(out).first(32));
  hostSends({.type = static_cast<uint16_t>(FrameType::Download),
             .index = download.slot,
             .sequence = download.sequence},
            33);
  EXPECT_TRUE(guest_->finishDownload(download).lost);
  EXPECT_EQ(out[32], std::byte{0});
  EXPECT_EQ(beyond[0], std::byte{0});
}
TEST_F(LyingHostTest, AnAnswerThatIsCutShortAnywhereEndsTheWait) {
  for (size_t cut = 0; cut < sizeof(FrameHeader) + 8; ++cut) {
    if (cut > 0) SetUp();
    const std::vector<std::byte> answer = frameWith(
        {.payloadBytes = 8, .type = static_cast<uint16_t>(FrameType::Reply), .sequence = 1}, pattern(8, 1));
    (void)sendWithFds(host_.get(), std::span(answer).first(cut), {});
    ::shutdown(host_.get(), SHUT_WR);
    std::array<std::byte, 8> payload;
    ASSERT_TRUE(guest_->call(1, 0, {}, payload).lost) << cut;
  }
}
TEST_F(LyingHostTest, AHostThatNeitherReadsNorAnswersDoesNotOutliveItsConnection) {
  std::thread uploading([&] {
    const std::vector<std::byte> data(guest_->limits().slotBytes);
    while (guest_->postWithData(1, 0, {}, data) != 0) {
    }
  });
  std::thread waiting([&] { EXPECT_TRUE(guest_->call(1, 1, {}, {}).lost); });
  std::this_thread::sleep_for(50ms);  // the socket is full by now, and both sleep
  host_.reset();
  uploading.join();
  waiting.join();
}
TEST_F(LyingHostTest, EventsOutOfOrderEndTheSession) {
  hostSends({.type = static_cast<uint16_t>(FrameType::Event), .index = 1, .sequence = 2}, 8);
  EXPECT_TRUE(endsSoon());
}
TEST_F(LyingHostTest, StreamsOutOfRangeEndTheSession) {
  hostSends({.type = static_cast<uint16_t>(FrameType::Retired), .stream = 1u << 31, .sequence = 2}, 0);
  EXPECT_TRUE(endsSoon());
}

}  // namespace
}  // namespace vgpu::transport
