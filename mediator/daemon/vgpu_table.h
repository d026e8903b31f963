// The vGPUs that the daemon hands out: what the configuration says of each, who uses it, and whether it is in
// order. The main thread changes them; threads of gRPC and of the metrics server ask, and wait for changes.
// docs/decisions/virtual-gpus.md.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "mediator/daemon/vgpu_slice.h"
#include "mediator/link/memory_ledger.h"
#include "mediator/link/session_assignment.h"

namespace vgpu::daemon {

class Vgpu {
 public:
  static Result<std::shared_ptr<Vgpu>> make(VgpuSlice slice, const std::string& directory);

  // Main thread.
  const VgpuSlice& slice() const { return slice_; }
  void change(VgpuSlice slice);
  const std::string& socketPath() const { return socketPath_; }
  link::MemoryLedger& ledger() { return ledger_; }
  const link::MemoryLedger& ledger() const { return ledger_; }

  std::atomic<uint32_t> sessions{0};

 private:
  Vgpu(VgpuSlice slice, std::string socketPath, link::MemoryLedger ledger)
      : slice_(std::move(slice)), socketPath_(std::move(socketPath)), ledger_(std::move(ledger)) {}

  VgpuSlice slice_;
  const std::string socketPath_;
  link::MemoryLedger ledger_;
};

// One executor's place on a vGPU, for as long as the executor lives. Main thread.
class VgpuLease {
 public:
  // Nothing when the vGPU has its most sessions.
  static std::shared_ptr<const VgpuLease> take(std::shared_ptr<Vgpu> vgpu);
  ~VgpuLease() { vgpu_->ledger().freePlace(place_); }
  VgpuLease(const VgpuLease&) = delete;
  VgpuLease& operator=(const VgpuLease&) = delete;

  const Vgpu& vgpu() const { return *vgpu_; }
  uint32_t place() const { return place_; }

 private:
  VgpuLease(std::shared_ptr<Vgpu> vgpu, uint32_t place) : vgpu_(std::move(vgpu)), place_(place) {}

  const std::shared_ptr<Vgpu> vgpu_;
  const uint32_t place_;
};

// A vGPU at one moment, for whoever asks.
struct VgpuView {
  VgpuSlice slice;
  std::string socketPath;
  std::string gpuUuid;    // empty where the GPU is not there
  std::string unhealthy;  // why; empty: it is in order
  uint64_t usedBytes = 0;
  uint32_t sessions = 0;
};

class VgpuTable {
 public:
  // ---- main thread
  struct Changes {
    std::vector<std::shared_ptr<Vgpu>> added, removed;
  };
  // Makes the vGPUs those of `slices`; ones of the same name stay the same. Fails without a change.
  Result<Changes> update(const std::vector<VgpuSlice>& slices, const std::string& directory);
  // What the driver has, or why it does not work: decides which vGPUs are healthy.
  void setDriver(const link::DriverReport& driver);

  // ---- any thread
  // Why nobody can be served on it: its GPU is not there. Empty: as far as is known he can.
  std::string unservable(const Vgpu& vgpu) const;
  std::vector<VgpuView> list() const;
  uint64_t generation() const;
  // Returns the generation once it differs from `known`, or when the time is over.
  uint64_t waitForChange(uint64_t known, std::chrono::milliseconds most) const;

 private:
  std::string unhealthy(const Vgpu& vgpu) const;
  std::string missingGpu(const Vgpu& vgpu) const;
  void changed();

  mutable std::mutex mutex_;
  mutable std::condition_variable changes_;
  std::map<std::string, std::shared_ptr<Vgpu>> vgpus_;
  link::DriverReport driver_;
  uint64_t generation_ = 1;
};

}  // namespace vgpu::daemon
