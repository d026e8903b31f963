// Where everything of a channel lies in memory that both processes map. Regions are ids, offsets and lengths,
// so that a carrier may be one memfd or one PCI BAR. The host chooses the limits; the guest computes the same
// layout from them and checks it against what it mapped. Everything the guest can write is untrusted for the
// host, and the other way round.
#pragma once

#include <array>
#include <span>

#include "base/result.h"
#include "transport/ring/record.h"

namespace vgpu::transport {

enum class RegionId : uint32_t {
  Control,      // indices and the words that sleepers arm
  Ring,         // guest to host, lines
  Mailboxes,    // host to guest, a line a thread
  Sleepers,     // armed by guest threads that wait for their mailbox, a line a thread
  Events,       // host to guest, lines
  Retired,      // host to guest, a u64 a stream
  RetireWaits,  // armed by guest threads: the number they wait for, a u64 a stream
  SlotControl,  // host to guest, a line a slot
  Window,       // the slots
  Count,
};
constexpr size_t kRegionCount = static_cast<size_t>(RegionId::Count);

struct Region {
  size_t offset = 0;
  size_t lengthBytes = 0;
};

struct ChannelLayout {
  std::array<Region, kRegionCount> regions;
  size_t totalBytes = 0;

  const Region& of(RegionId id) const { return regions[static_cast<size_t>(id)]; }
};

// Refuses limits that are no powers of two where they must be, or large enough to harm the process that obeys
// them.
Status checkLimits(const ChannelLimits& limits);
ChannelLayout layoutOf(const ChannelLimits& limits);

// Each word alone on its pair of lines (adjacent lines are fetched together), written by one side.
struct ControlPage {
  alignas(128) uint64_t magic;  // written once by the host
  ChannelLimits limits;
  alignas(128) uint64_t submitted;       // guest: lines produced since the start
  alignas(128) uint64_t consumed;        // host: lines consumed
  alignas(128) uint32_t hostSleeps;      // armed by the host's dispatcher
  alignas(128) uint32_t spaceWanted;     // armed by guest threads that found the ring full
  alignas(128) uint64_t eventsProduced;  // host: lines
  uint64_t eventsAnnounced;              // host: events posted, also those still queued privately
  alignas(128) uint64_t eventsConsumed;  // guest: lines
  alignas(128) uint32_t eventWaits;      // armed by the guest's event thread
  alignas(128) uint32_t slotWanted;      // armed by guest threads that wait for a slot
};
static_assert(sizeof(ControlPage) <= 4096);
constexpr uint64_t kControlMagic = 0x4c4e4e4843555047;

struct Mailbox {
  alignas(64) uint64_t sequence;  // written last
  int32_t status;
  uint32_t payloadBytes;  // above kReplyInlineBytes it lies in the slot that the record attached
  std::array<std::byte, kReplyInlineBytes> payload;
};
static_assert(sizeof(Mailbox) == kLineBytes);

struct Sleeper {
  alignas(64) uint32_t armed;
};

struct SlotControl {
  alignas(64) uint64_t sequence;  // written last: of the record whose use of the slot is over
  int32_t status;
  uint32_t bytes;
};
static_assert(sizeof(SlotControl) == kLineBytes);

// The regions of one mapping, typed.
struct ChannelMemory {
  ControlPage* control = nullptr;
  std::byte* ring = nullptr;
  Mailbox* mailboxes = nullptr;
  Sleeper* sleepers = nullptr;
  std::byte* events = nullptr;
  uint64_t* retired = nullptr;
  uint64_t* retireWaits = nullptr;
  SlotControl* slotControl = nullptr;
  std::byte* window = nullptr;

  ChannelMemory() = default;
  ChannelMemory(std::byte* base, const ChannelLayout& layout);
};

}  // namespace vgpu::transport
