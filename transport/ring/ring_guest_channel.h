// RingGuestChannel: a GuestChannel over memory that both processes map. Guest process, any thread; owns the
// carrier and with it the mapping. What the host writes (indices, mailboxes, slot control, events) is bounded
// and checked before use.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "transport/ring/guest_channel.h"
#include "transport/ring/guest_window.h"
#include "transport/ring/layout.h"
#include "transport/ring/line_ring.h"
#include "transport/ring/producer_lock.h"
#include "transport/ring/record_writer.h"
#include "transport/ring/ring_carrier.h"
#include "transport/ring/spin.h"

namespace vgpu::transport {

class RingGuestChannel final : public GuestChannel, private CarrierListener {
 public:
  // `limits` were checked, and the carrier's memory is as large as their layout.
  RingGuestChannel(std::unique_ptr<RingCarrier> carrier, const ChannelLimits& limits);
  ~RingGuestChannel() override;

  uint64_t postWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                        std::span<const std::byte> data) override;
  Reply call(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
             std::span<std::byte> payloadOut) override;
  Reply callWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                     std::span<const std::byte> data, std::span<std::byte> payloadOut) override;
  std::optional<Download> tryBeginDownload(uint16_t call, uint16_t thread,
                                           std::span<const std::byte> arguments,
                                           std::span<std::byte> out) override;
  Download beginDownload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                         std::span<std::byte> out) override;
  Reply finishDownload(const Download& download) override;
  uint64_t retired(uint32_t streamIndex) override;
  Wait waitRetired(uint32_t streamIndex, uint64_t sequence, std::chrono::nanoseconds timeout) override;
  void flush() override;
  Wait waitEvent(Event& event, std::chrono::nanoseconds timeout) override;
  uint64_t eventsAnnounced() override;
  void interruptEvents() override;
  bool sharesMemory() const override { return carrier_->sharesMemory(); }
  Result<Mapping> mapShared(uint64_t regionId, void* address, size_t sizeBytes) override;

 private:
  using Deadline = std::optional<MonotonicTime>;

  std::byte* reserve(uint16_t call, uint16_t thread, size_t argumentBytes) override;
  uint64_t publish() override;
  void onLost(const std::string& reason) override;
  bool onTick() override { return false; }
  void forgetParent() override;

  std::byte* reserveShape(const RecordShape& shape);
  uint64_t postShape(const RecordShape& shape, std::span<const std::byte> arguments,
                     std::span<const std::byte> inlineData);
  bool waitForSpace();
  uint16_t takeSlot(bool upload);
  std::byte* slot(uint16_t index) { return memory_.window + size_t{index} * limits_.slotBytes; }
  Reply awaitReply(uint16_t thread, uint64_t sequence, uint16_t slot, std::span<std::byte> payloadOut);
  Download postDownload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                        std::span<std::byte> out, uint16_t slot);
  void armRetireWait(uint32_t streamIndex, uint64_t sequence, uint32_t& armed);
  enum class Taken { Event, None, Broken };
  Taken takeEvent(Event& event);
  void failHost(const char* what);
  template <class Ready>
  Wait sleepUntil(uint32_t* word, SpinBudget& budget, Ready&& ready, Deadline deadline);

  std::unique_ptr<RingCarrier> carrier_;
  Doorbell& doorbell_;
  ChannelMemory memory_;

  ProducerLock lock_;
  // Under lock_:
  LineProducer producer_;
  size_t placedLines_ = 0;
  uint32_t sinceFence_ = 0;

  GuestWindow window_;
  std::mutex retireMutex_;
  std::mutex eventMutex_;
  LineConsumer events_;  // under eventMutex_, as the next two
  uint64_t eventSequence_ = 0;
  std::unique_ptr<std::byte[]> eventBytes_;
  std::atomic<bool> eventsInterrupted_{false};

  std::unique_ptr<SpinBudget[]> replyBudgets_;  // one a thread
  SpinBudget spaceBudget_, uploadBudget_, slotBudget_, retireBudget_, eventBudget_;
};

}  // namespace vgpu::transport
