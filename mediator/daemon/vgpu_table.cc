#include "mediator/daemon/vgpu_table.h"

#include <utility>

namespace vgpu::daemon {

Result<std::shared_ptr<Vgpu>> Vgpu::make(VgpuSlice slice, const std::string& directory) {
  auto ledger = link::MemoryLedger::make(slice.memoryBytes);
  if (!ledger) return ledger.error();
  std::string path = directory + "/" + slice.name + "/vgpu.sock";
  return std::shared_ptr<Vgpu>(new Vgpu(std::move(slice), std::move(path), std::move(*ledger)));
}

void Vgpu::change(VgpuSlice slice) {
  ledger_.setLimit(slice.memoryBytes);
  slice_ = std::move(slice);
}

std::shared_ptr<const VgpuLease> VgpuLease::take(std::shared_ptr<Vgpu> vgpu) {
  const auto place = vgpu->ledger().takePlace();
  if (!place) return nullptr;
  return std::shared_ptr<const VgpuLease>(new VgpuLease(std::move(vgpu), *place));
}

Result<VgpuTable::Changes> VgpuTable::update(const std::vector<VgpuSlice>& slices,
                                             const std::string& directory) {
  Changes changes;
  std::map<std::string, std::shared_ptr<Vgpu>> wanted;
  for (const VgpuSlice& slice : slices) {
    if (const auto found = vgpus_.find(slice.name); found != vgpus_.end()) {
      wanted[slice.name] = found->second;
      continue;
    }
    auto made = Vgpu::make(slice, directory);
    if (!made) return made.error();
    wanted[slice.name] = *made;
    changes.added.push_back(*made);
  }
  std::lock_guard lock(mutex_);
  for (const auto& [name, vgpu] : vgpus_) {
    if (wanted.count(name) == 0) changes.removed.push_back(vgpu);
  }
  for (const VgpuSlice& slice : slices) wanted[slice.name]->change(slice);
  vgpus_ = std::move(wanted);
  changed();
  return changes;
}

void VgpuTable::setDriver(const link::DriverReport& driver) {
  std::lock_guard lock(mutex_);
  std::map<std::string, std::string> before;
  for (const auto& [name, vgpu] : vgpus_) before[name] = unhealthy(*vgpu);
  driver_ = driver;
  for (const auto& [name, vgpu] : vgpus_) {
    if (unhealthy(*vgpu) != before[name]) return changed();
  }
}

// With the lock.
std::string VgpuTable::unhealthy(const Vgpu& vgpu) const {
  if (!driver_.failure.empty()) return "the driver does not work: " + driver_.failure;
  if (driver_.devices.empty()) return "no executor has reported yet which devices there are";
  if (std::string missing = missingGpu(vgpu); !missing.empty()) return missing;
  const uint32_t gpu = vgpu.slice().gpu;
  uint64_t together = 0;
  for (const auto& [name, other] : vgpus_) {
    if (other->slice().gpu == gpu) together += other->slice().memoryBytes;
  }
  const uint64_t has = driver_.devices[gpu].memoryBytes;
  if (together > has) {
    return "the slices of GPU " + std::to_string(gpu) + " have " + std::to_string(together) +
           " bytes together, and the GPU " + std::to_string(has);
  }
  return "";
}

// With the lock.
std::string VgpuTable::missingGpu(const Vgpu& vgpu) const {
  const size_t count = driver_.devices.size();
  if (vgpu.slice().gpu < count || count == 0) return "";
  return "there is no GPU " + std::to_string(vgpu.slice().gpu) + "; the driver has " + std::to_string(count);
}

std::string VgpuTable::unservable(const Vgpu& vgpu) const {
  std::lock_guard lock(mutex_);
  return missingGpu(vgpu);
}

// With the lock.
void VgpuTable::changed() {
  ++generation_;
  changes_.notify_all();
}

std::vector<VgpuView> VgpuTable::list() const {
  std::lock_guard lock(mutex_);
  std::vector<VgpuView> views;
  for (const auto& [name, vgpu] : vgpus_) {
    VgpuView& view = views.emplace_back();
    view.slice = vgpu->slice();
    view.socketPath = vgpu->socketPath();
    if (view.slice.gpu < driver_.devices.size()) view.gpuUuid = driver_.devices[view.slice.gpu].uuid;
    view.unhealthy = unhealthy(*vgpu);
    view.usedBytes = vgpu->ledger().usedBytes();
    view.sessions = vgpu->sessions.load(std::memory_order_relaxed);
  }
  return views;
}

uint64_t VgpuTable::generation() const {
  std::lock_guard lock(mutex_);
  return generation_;
}

uint64_t VgpuTable::waitForChange(uint64_t known, std::chrono::milliseconds most) const {
  std::unique_lock lock(mutex_);
  changes_.wait_for(lock, most, [&] { return generation_ != known; });
  return generation_;
}

}  // namespace vgpu::daemon
