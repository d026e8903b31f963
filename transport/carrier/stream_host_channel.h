// StreamHostChannel: a HostChannel over a byte stream. Executor. The dispatcher reads the socket in next();
// answers are written by whoever gives them, and by the watching thread when the guest does not take them at
// once. Window slots are private memory here, filled from the stream. Every byte from the guest is untrusted:
// frames are bounded before they are received, records are checked as on every carrier.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "base/mapping.h"
#include "base/unique_fd.h"
#include "transport/carrier/frame.h"
#include "transport/carrier/out_queue.h"
#include "transport/carrier/peer_watcher.h"
#include "transport/ring/host_channel.h"
#include "transport/ring/slot_owners.h"
#include "transport/ring/spin.h"

namespace vgpu::transport {

class StreamHostChannel final : public HostChannel, private FrameSink {
 public:
  StreamHostChannel(UniqueFd socket, const ChannelLimits& limits, Mapping window);
  ~StreamHostChannel() override;

  Next next(IncomingRecord& record, std::chrono::nanoseconds timeout) override;
  void setUploadPlaces(UploadPlaces* places) override { places_ = places; }
  void interrupt() override;
  std::string violation() const override { return violation_; }
  void reply(const ReplyTo& to, int32_t status, std::span<const std::byte> payload) override;
  void releaseSlot(uint16_t slot) override;
  std::span<std::byte> slotMemory(uint16_t slot) override;
  void completeDownload(const ReplyTo& to, int32_t status, uint32_t bytes) override;
  void retire(uint32_t streamIndex, uint64_t sequence) override;
  uint64_t postEvent(uint16_t kind, std::span<const std::byte> bytes) override;
  bool sharesMemory() const override { return false; }
  Result<Mapping> makeShared(uint64_t regionId, void* address, size_t sizeBytes) override;
  Status shareDescriptor(uint64_t regionId, int fd, size_t sizeBytes) override;
  bool lost() const override { return lost_.load(std::memory_order_relaxed); }
  void close() override;

 private:
  struct StreamState {
    uint64_t retired = 0;
    uint64_t waitedFor = 0;  // the guest wants to know at once; 0: it does not
    bool untold = false;
  };

  bool place(const FrameHeader& header, size_t offset, std::span<std::byte>& into,
             const char*& wrong) override;
  bool complete(const FrameHeader& header, const char*& wrong) override;
  bool placeRecord(const FrameHeader& header, size_t offset, std::span<std::byte>& into, const char*& wrong);
  bool acceptRecord(const FrameHeader& header, const char*& wrong);
  void guestWaitsFor(uint32_t streamIndex, uint64_t sequence);
  Next readRecord(IncomingRecord& record);
  Next fail(std::string what);
  void sleepUntilReadable(std::chrono::nanoseconds timeout);
  void tellRetired();
  void sent(OutQueue::Sent outcome);

  UniqueFd socket_;
  UniqueFd interrupt_;  // an eventfd, for a dispatcher that sleeps in poll
  Mapping window_;
  std::atomic<bool> lost_{false};
  std::atomic<bool> interrupted_{false};

  // The dispatcher's:
  UploadPlaces* places_ = nullptr;
  FrameReader frames_;
  IncomingRecord incoming_;
  bool recordReady_ = false;
  uint64_t sequence_ = 0;
  std::string violation_;
  bool broken_ = false;  // there is a violation
  SpinBudget budget_;

  SlotOwners owners_;
  OutQueue out_;
  std::mutex retireMutex_;
  std::unique_ptr<StreamState[]> streams_;
  std::vector<uint32_t> untold_;
  std::mutex eventMutex_;
  uint64_t eventSequence_ = 0;
  std::optional<PeerWatcher> watcher_;
};

Result<std::unique_ptr<HostChannel>> makeStreamHostChannel(UniqueFd socket, const ChannelLimits& limits);

}  // namespace vgpu::transport
