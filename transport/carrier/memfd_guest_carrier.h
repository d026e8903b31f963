// The guest's side of the memfd carrier: maps the channel's memory, takes descriptors that the executor
// announces, watches the executor. The mappings are not inherited by fork, descriptors not by exec; what the
// executor sends is bounded and checked.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/unique_fd.h"
#include "transport/carrier/peer_watcher.h"
#include "transport/ring/layout.h"
#include "transport/ring/ring_carrier.h"

namespace vgpu::transport {

class MemfdGuestCarrier final : public RingCarrier {
 public:
  // `hostProcess` is a pidfd of the executor, or invalid.
  static Result<std::unique_ptr<MemfdGuestCarrier>> make(UniqueFd socket, const ChannelLimits& limits,
                                                         UniqueFd memory, UniqueFd hostProcess);
  ~MemfdGuestCarrier() override;

  Doorbell& doorbell() override { return doorbell_; }
  std::byte* memory() override { return memory_.data(); }
  void watch(CarrierListener& listener) override;
  void disconnect() override;
  void hangUp() override;
  void tickSoon() override;
  void touch(std::byte* start, size_t lengthBytes) override;
  void forgetAfterFork() override;
  bool sharesMemory() const override { return true; }
  Result<Mapping> mapShared(uint64_t regionId, void* address, size_t sizeBytes) override;
  Result<Mapping> makeShared(uint64_t regionId, void* address, size_t sizeBytes) override;
  Status shareDescriptor(uint64_t regionId, int descriptor, size_t sizeBytes) override;

 private:
  struct Announced {
    UniqueFd fd;
    size_t sizeBytes;
  };
  MemfdGuestCarrier(UniqueFd socket, UniqueFd hostProcess, Mapping memory);
  // Takes what has arrived; a reason when the executor is gone or sent nonsense.
  std::string receiveAnnouncements();
  std::string receiveOne(bool& received);

  UniqueFd socket_;
  UniqueFd hostProcess_;
  Mapping memory_;
  FutexDoorbell doorbell_;
  std::optional<PeerWatcher> watcher_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::unordered_map<uint64_t, Announced> announced_;
};

}  // namespace vgpu::transport
