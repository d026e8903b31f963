// What a ring channel needs of its carrier besides the memory: a doorbell, notice of the peer's death,
// sharing of further memory. One carrier a channel, owned by it. A carrier watches the peer from a thread of
// its own, which sleeps while nothing happens.
#pragma once

#include <chrono>
#include <string>

#include "base/mapping.h"
#include "base/result.h"
#include "transport/ring/doorbell.h"

namespace vgpu::transport {

// What the carrier's watching thread calls.
class CarrierListener {
 public:
  virtual ~CarrierListener() = default;
  // The peer is gone; once.
  virtual void onLost(const std::string& reason) = 0;
  // After RingCarrier::tickSoon; true asks for another tick after the same pause.
  virtual bool onTick() = 0;
};

class RingCarrier {
 public:
  virtual ~RingCarrier() = default;
  virtual Doorbell& doorbell() = 0;
  // The whole channel, mapped.
  virtual std::byte* memory() = 0;
  virtual void watch(CarrierListener& listener) = 0;
  // Ends the connection, so that both sides' watchers see it. Any thread, any time before hangUp.
  virtual void disconnect() = 0;
  // The same, and ends watching: the listener is not called after this. Once, not from the watching thread.
  virtual void hangUp() = 0;
  // Calls onTick about a millisecond later from the watching thread.
  virtual void tickSoon() = 0;
  // Prepares a part of the memory for its first use, so that the first copy does not pay for page faults.
  virtual void touch(std::byte* start, size_t lengthBytes) = 0;
  // In a forked child: let go of everything that is the parent's without disturbing it.
  virtual void forgetAfterFork() = 0;

  virtual bool sharesMemory() const = 0;
  virtual Result<Mapping> mapShared(uint64_t regionId, void* address, size_t sizeBytes) = 0;   // guest
  virtual Result<Mapping> makeShared(uint64_t regionId, void* address, size_t sizeBytes) = 0;  // host
  virtual Status shareDescriptor(uint64_t regionId, int descriptor, size_t sizeBytes) = 0;     // host
};

}  // namespace vgpu::transport
