// The executor's side of the memfd carrier: makes the channel's memory, sends descriptors over the socket of
// the handshake, watches the guest. Nothing is expected from the guest on the socket after its hello;
// whatever comes ends the session.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "base/unique_fd.h"
#include "transport/carrier/peer_watcher.h"
#include "transport/ring/layout.h"
#include "transport/ring/ring_carrier.h"

namespace vgpu::transport {

class MemfdHostCarrier final : public RingCarrier {
 public:
  static Result<std::unique_ptr<MemfdHostCarrier>> make(UniqueFd socket, const ChannelLimits& limits);
  ~MemfdHostCarrier() override;

  // What the welcome carries; may be closed afterwards.
  int memoryFd() const { return memoryFd_.get(); }
  int socket() const { return socket_.get(); }

  Doorbell& doorbell() override { return doorbell_; }
  std::byte* memory() override { return memory_.data(); }
  void watch(CarrierListener& listener) override;
  void disconnect() override;
  void hangUp() override;
  void tickSoon() override;
  void touch(std::byte* start, size_t lengthBytes) override;
  void forgetAfterFork() override {}
  bool sharesMemory() const override { return true; }
  Result<Mapping> mapShared(uint64_t regionId, void* address, size_t sizeBytes) override;
  Result<Mapping> makeShared(uint64_t regionId, void* address, size_t sizeBytes) override;
  Status shareDescriptor(uint64_t regionId, int descriptor, size_t sizeBytes) override;

 private:
  MemfdHostCarrier(UniqueFd socket, UniqueFd memoryFd, Mapping memory);

  UniqueFd socket_;
  UniqueFd memoryFd_;
  Mapping memory_;
  FutexDoorbell doorbell_;
  std::mutex sendMutex_;
  std::optional<PeerWatcher> watcher_;
};

}  // namespace vgpu::transport
