// Decoding and dispatch of whatever a guest may send: the input is a row of records, each a header and bytes.
// They run over a driver in which everything succeeds, with a few live objects, so that handles and addresses
// in the corpus can hit.
#include <sys/mman.h>

#include <cstring>
#include <memory>

#include "base/log.h"
#include "base/mapping.h"
#include "mediator/executor/execution.h"
#include "mediator/executor/testing/fake_driver.h"
#include "protocol/marshal/hello.h"

namespace vgpu::executor {
namespace {

constexpr uint64_t kRangeBytes = uint64_t{16} << 20;

// The host's end of a channel without a guest: answers go nowhere.
class SilentChannel final : public transport::HostChannel {
 public:
  SilentChannel() : HostChannel(limitsOf()) {}
  transport::Next next(transport::IncomingRecord&, std::chrono::nanoseconds) override {
    return transport::Next::Lost;
  }
  void interrupt() override {}
  std::string violation() const override { return {}; }
  void reply(const transport::ReplyTo&, int32_t, std::span<const std::byte>) override {}
  void releaseSlot(uint16_t) override {}
  std::span<std::byte> slotMemory(uint16_t slot) override { return slots_[slot]; }
  void completeDownload(const transport::ReplyTo&, int32_t, uint32_t) override {}
  void retire(uint32_t, uint64_t) override {}
  uint64_t postEvent(uint16_t, std::span<const std::byte>) override { return 1; }
  bool sharesMemory() const override { return false; }
  Result<Mapping> makeShared(uint64_t, void*, size_t) override { return Error{"share", "never"}; }
  Status shareDescriptor(uint64_t, int, size_t) override { return Error{"share", "never"}; }
  bool lost() const override { return false; }
  void close() override {}

 private:
  static transport::ChannelLimits limitsOf() {
    transport::ChannelLimits limits;
    limits.threads = 8;
    limits.slots = 4;
    return limits;
  }
  std::array<std::array<std::byte, 4096>, 4> slots_{};
};

struct RecordHead {
  uint16_t number;
  uint8_t thread, attachment;
  uint16_t argumentBytes, dataBytes;
};

Submission submissionOf(const RecordHead& head, std::span<const std::byte> arguments,
                        std::span<const std::byte> data, uint64_t sequence) {
  Submission s;
  s.number = head.number;
  s.thread = head.thread % 9;  // one more than there are
  s.sequence = sequence;
  s.arguments = arguments;
  s.to.thread = s.thread;
  s.to.sequence = sequence;
  if (head.attachment % 3 == 1) {
    s.data = data;
    s.dataBytes = static_cast<uint32_t>(data.size());
  } else if (head.attachment % 3 == 2) {
    s.to.slot = head.attachment % 4;
    s.to.slotBytes = s.dataBytes = head.dataBytes % 4097;
  }
  return s;
}

struct Feeder {
  Execution& execution;
  uint64_t sequence = 0;

  template <class Message>
  void send(uint16_t number, const Message& message, size_t bytes = sizeof(Message)) {
    Submission s;
    s.number = number;
    s.arguments = std::as_bytes(std::span(&message, 1)).first(bytes);
    s.sequence = ++sequence;
    execution.dispatch(s);
  }
};

// A context, a stream, an event and some memory under the handles that seeds use.
void prepare(Feeder& feeder) {
  namespace call = protocol::call;
  namespace messages = protocol::messages;
  const uint64_t context = Handle(Kind::Context, 1, 0).bits();
  feeder.send(call::PrimaryRetain, messages::PrimaryRetain{context, 0, 0});
  feeder.send(call::ThreadContext, messages::ThreadContext{context});
  const struct {
    uint64_t handle;
    uint32_t flags;
    int32_t priority;
  } stream{Handle(Kind::Stream, 1, 0).bits(), 0, 0};
  feeder.send(call::cuStreamCreateWithPriority, stream);
  const struct {
    uint64_t handle;
    uint32_t flags, padding;
  } event{Handle(Kind::Event, 1, 0).bits(), 0, 0};
  feeder.send(call::cuEventCreate, event, 12);
  feeder.send(call::MapDevice, messages::MapDevice{protocol::kRangeCandidates[0], 1 << 20, 0, 0});
}

void run(std::span<const std::byte> input) {
  static FakeDriver driver;
  static Mapping range = *reserveAt(protocol::kRangeCandidates[0], kRangeBytes);
  SilentChannel channel;
  auto statistics = std::make_unique<link::StatisticsPage>();
  OpenAdmission admission;
  ExecutionSettings settings;
  settings.rangeBase = reinterpret_cast<uint64_t>(range.data());
  settings.rangeBytes = kRangeBytes;
  settings.spillBytes = 1 << 20;
  Execution execution(driver.table(), channel, *statistics, admission, settings);
  Feeder feeder{execution};
  prepare(feeder);
  while (input.size() >= sizeof(RecordHead) && !execution.lied()) {
    RecordHead head;
    std::memcpy(&head, input.data(), sizeof head);
    input = input.subspan(sizeof head);
    const auto arguments = input.first(std::min<size_t>(head.argumentBytes, input.size()));
    input = input.subspan(arguments.size());
    const auto data = input.first(std::min<size_t>(head.dataBytes, input.size()));
    input = input.subspan(head.attachment % 3 == 1 ? data.size() : 0);
    // As the channel hands it out: private, aligned memory.
    const std::vector<std::byte> argumentCopy(arguments.begin(), arguments.end()),
        dataCopy(data.begin(), data.end());
    Submission s = submissionOf(head, argumentCopy, dataCopy, ++feeder.sequence);
    execution.settleInbox();
    execution.dispatch(s);
  }
  execution.workers.finish();
  execution.settleInbox();
  // The range is as it was for the next input.
  ::mmap(range.data(), kRangeBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
         0);
}

}  // namespace
}  // namespace vgpu::executor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vgpu::log::setLevel(vgpu::log::Level::Off);
  vgpu::executor::run(std::as_bytes(std::span(data, size)));
  return 0;
}
