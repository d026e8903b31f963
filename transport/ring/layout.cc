#include "transport/ring/layout.h"

namespace vgpu::transport {

namespace {

constexpr size_t kPageBytes = 4096;
// A peer that claims more than this would only make us reserve memory: ten times what anything needs.
constexpr uint32_t kMostLines = 65536;
constexpr uint32_t kMostThreads = 32768;
constexpr uint32_t kMostStreams = 65536;
constexpr uint32_t kMostSlots = 1024;
constexpr uint32_t kMostSlotBytes = 4 << 20;

bool isPowerOfTwo(uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }

Error badLimit(const char* name, uint32_t value) {
  return Error{"channel limits", std::string(name) + " of " + std::to_string(value) + " is out of range", 0};
}

}  // namespace

Status checkLimits(const ChannelLimits& limits) {
  if (!isPowerOfTwo(limits.ringLines) || limits.ringLines < 2 * kMaxRecordLines ||
      limits.ringLines > kMostLines)
    return badLimit("ringLines", limits.ringLines);
  if (!isPowerOfTwo(limits.eventLines) || limits.eventLines < 2 * kMaxRecordLines ||
      limits.eventLines > kMostLines)
    return badLimit("eventLines", limits.eventLines);
  if (limits.threads == 0 || limits.threads > kMostThreads) return badLimit("threads", limits.threads);
  if (limits.streams == 0 || limits.streams > kMostStreams) return badLimit("streams", limits.streams);
  if (limits.slots == 0 || limits.slots > kMostSlots) return badLimit("slots", limits.slots);
  if (limits.slotBytes < kInlineDataBytes || limits.slotBytes > kMostSlotBytes ||
      limits.slotBytes % kPageBytes != 0)
    return badLimit("slotBytes", limits.slotBytes);
  return success();
}

ChannelLayout layoutOf(const ChannelLimits& limits) {
  const std::array<size_t, kRegionCount> lengths = {
      kPageBytes,
      limits.ringLines * kLineBytes,
      limits.threads * sizeof(Mailbox),
      limits.threads * sizeof(Sleeper),
      limits.eventLines * kLineBytes,
      limits.streams * sizeof(uint64_t),
      limits.streams * sizeof(uint64_t),
      limits.slots * sizeof(SlotControl),
      size_t{limits.slots} * limits.slotBytes,
  };
  ChannelLayout layout;
  for (size_t i = 0; i < kRegionCount; ++i) {
    layout.regions[i] = Region{layout.totalBytes, lengths[i]};
    layout.totalBytes += (lengths[i] + kPageBytes - 1) / kPageBytes * kPageBytes;
  }
  return layout;
}

ChannelMemory::ChannelMemory(std::byte* base, const ChannelLayout& layout) {
  const auto at = [&](RegionId id) { return base + layout.of(id).offset; };
  control = reinterpret_cast<ControlPage*>(at(RegionId::Control));
  ring = at(RegionId::Ring);
  mailboxes = reinterpret_cast<Mailbox*>(at(RegionId::Mailboxes));
  sleepers = reinterpret_cast<Sleeper*>(at(RegionId::Sleepers));
  events = at(RegionId::Events);
  retired = reinterpret_cast<uint64_t*>(at(RegionId::Retired));
  retireWaits = reinterpret_cast<uint64_t*>(at(RegionId::RetireWaits));
  slotControl = reinterpret_cast<SlotControl*>(at(RegionId::SlotControl));
  window = at(RegionId::Window);
}

}  // namespace vgpu::transport
