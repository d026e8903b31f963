// The event ring as a hostile host leaves it, read by a real guest channel: the input is the ring, its first
// bytes the index.
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "transport/ring/ring_guest_channel.h"

using namespace vgpu::transport;

namespace {

// Memory of this process and nobody at the other end.
class LonelyCarrier final : public RingCarrier {
 public:
  explicit LonelyCarrier(std::vector<std::byte>& memory) : memory_(memory) {}
  Doorbell& doorbell() override { return doorbell_; }
  std::byte* memory() override { return memory_.data(); }
  void watch(CarrierListener&) override {}
  void disconnect() override {}
  void hangUp() override {}
  void tickSoon() override {}
  void touch(std::byte*, size_t) override {}
  void forgetAfterFork() override {}
  bool sharesMemory() const override { return false; }
  vgpu::Result<vgpu::Mapping> mapShared(uint64_t, void*, size_t) override {
    return vgpu::Error{"fuzz", "nothing is shared"};
  }
  vgpu::Result<vgpu::Mapping> makeShared(uint64_t, void*, size_t) override {
    return vgpu::Error{"fuzz", "nothing is shared"};
  }
  vgpu::Status shareDescriptor(uint64_t, int, size_t) override {
    return vgpu::Error{"fuzz", "nothing is shared"};
  }

 private:
  std::vector<std::byte>& memory_;
  FutexDoorbell doorbell_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  const ChannelLimits limits{
      .ringLines = 256, .threads = 1, .eventLines = 256, .streams = 1, .slots = 1, .slotBytes = 4096};
  const ChannelLayout layout = layoutOf(limits);
  static std::vector<std::byte> memory(layout.totalBytes);
  std::fill(memory.begin(), memory.end(), std::byte{0});
  ChannelMemory parts(memory.data(), layout);
  std::memcpy(&parts.control->eventsProduced, data, sizeof(uint64_t));
  std::memcpy(parts.events, data + 8, std::min(size - 8, limits.eventLines * kLineBytes));
  RingGuestChannel channel(std::make_unique<LonelyCarrier>(memory), limits);
  Event event;
  uint64_t last = 0;
  while (channel.waitEvent(event, std::chrono::nanoseconds(0)) == Wait::Ready) {
    CHECK(event.sequence == ++last);
    CHECK(event.bytes.size() <= kMaxRecordLines * kLineBytes);
  }
  return 0;
}
