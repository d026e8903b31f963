// RingHostChannel: a HostChannel over memory that both processes map. Executor; owns the carrier and with it
// the mapping. Everything read from the mapping is the guest's: indices and headers are checked, records are
// copied once before they are looked at.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "transport/ring/event_queue.h"
#include "transport/ring/host_channel.h"
#include "transport/ring/layout.h"
#include "transport/ring/line_ring.h"
#include "transport/ring/ring_carrier.h"
#include "transport/ring/slot_owners.h"
#include "transport/ring/spin.h"

namespace vgpu::transport {

class RingHostChannel final : public HostChannel, private CarrierListener {
 public:
  RingHostChannel(std::unique_ptr<RingCarrier> carrier, const ChannelLimits& limits);
  ~RingHostChannel() override;

  Next next(IncomingRecord& record, std::chrono::nanoseconds timeout) override;
  void interrupt() override;
  std::string violation() const override { return violation_; }
  void reply(const ReplyTo& to, int32_t status, std::span<const std::byte> payload) override;
  void releaseSlot(uint16_t slot) override;
  std::span<std::byte> slotMemory(uint16_t slot) override;
  void completeDownload(const ReplyTo& to, int32_t status, uint32_t bytes) override;
  void retire(uint32_t streamIndex, uint64_t sequence) override;
  uint64_t postEvent(uint16_t kind, std::span<const std::byte> bytes) override;
  bool sharesMemory() const override { return carrier_->sharesMemory(); }
  Result<Mapping> makeShared(uint64_t regionId, void* address, size_t sizeBytes) override;
  Status shareDescriptor(uint64_t regionId, int fd, size_t sizeBytes) override;
  bool lost() const override { return lost_.load(std::memory_order_relaxed); }
  void close() override;

 private:
  void onLost(const std::string& reason) override;
  bool onTick() override;

  Next accept(IncomingRecord& record);
  Next fail(std::string what);
  void backOff();
  bool sleepUntilWork(std::chrono::nanoseconds timeout);
  bool somethingToDo() const {
    return submissions_.more() || interrupted_.load(std::memory_order_relaxed) || lost();
  }
  void giveSlotBack(uint16_t slot, int32_t status, uint32_t bytes);

  std::unique_ptr<RingCarrier> carrier_;
  Doorbell& doorbell_;
  ChannelMemory memory_;
  std::atomic<bool> lost_{false};
  std::atomic<bool> interrupted_{false};

  // The dispatcher's:
  LineConsumer submissions_;
  uint64_t sequence_ = 0;
  std::string violation_;
  bool broken_ = false;  // there is a violation
  std::unique_ptr<bool[]> touched_;
  SpinBudget budget_;
  uint64_t sequenceAtBackOff_ = 0;
  uint64_t repliesAtBackOff_ = 0;
  int backOffPauses_ = 0;

  std::atomic<uint64_t> replies_{0};
  SlotOwners owners_;
  EventQueue events_;
};

}  // namespace vgpu::transport
