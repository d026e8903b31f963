// Memory: the guest assigns every address, the executor places memory there. Device memory comes from the
// driver's virtual-memory calls; host memory (pinned, managed, shadows of registered memory) is the
// executor's, registered with the driver, and shared with the guest where the carrier can.
#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"
#include "mediator/executor/handlers.h"

namespace vgpu::executor {
namespace {

using protocol::messages::HostAlloc;

constexpr uint64_t kPageBytes = 4096;

// [address, address + sizeBytes) as the guest may ask for it: in the session's range and on whole pages.
bool wellPlaced(const Execution& execution, uint64_t address, uint64_t sizeBytes) {
  const uint64_t base = execution.settings.rangeBase, range = execution.settings.rangeBytes;
  const bool aligned = address % kPageBytes == 0 && sizeBytes % kPageBytes == 0 && sizeBytes != 0;
  return aligned && address >= base && sizeBytes <= range && address - base <= range - sizeBytes;
}

// The session's range is reserved by us; the driver gets the part where it is to place memory.
void giveUp(uint64_t address, uint64_t sizeBytes) { ::munmap(reinterpret_cast<void*>(address), sizeBytes); }
void reserveAgain(uint64_t address, uint64_t sizeBytes) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  void* got = ::mmap(reinterpret_cast<void*>(address), sizeBytes, PROT_NONE, kFlags, -1, 0);
  if (got != MAP_FAILED && got != reinterpret_cast<void*>(address)) ::munmap(got, sizeBytes);
}
void coverAgain(uint64_t address, uint64_t sizeBytes) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  CHECK(::mmap(reinterpret_cast<void*>(address), sizeBytes, PROT_NONE, kFlags, -1, 0) ==
        reinterpret_cast<void*>(address));
}

CUresult reserveInDriver(const Driver& driver, uint64_t address, uint64_t sizeBytes) {
  giveUp(address, sizeBytes);
  CUdeviceptr got = 0;
  CUresult status = driver.cuMemAddressReserve(&got, sizeBytes, 0, address, 0);
  if (status == CUDA_SUCCESS && got != address) {
    driver.cuMemAddressFree(got, sizeBytes);
    status = CUDA_ERROR_OUT_OF_MEMORY;
  }
  if (status != CUDA_SUCCESS) reserveAgain(address, sizeBytes);
  return status;
}
void releaseInDriver(const Driver& driver, uint64_t address, uint64_t sizeBytes) {
  driver.cuMemAddressFree(address, sizeBytes);
  reserveAgain(address, sizeBytes);
}

// Runs on the dispatcher, or for large blocks on a worker: touches the driver and the reservation only.
CUresult placeDevice(const Driver& driver, uint64_t address, uint64_t sizeBytes, int device,
                     CUmemGenericAllocationHandle& physical) {
  CUresult status = reserveInDriver(driver, address, sizeBytes);
  if (status != CUDA_SUCCESS) return status;
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device};
  status = driver.cuMemCreate(&physical, sizeBytes, &properties, 0);
  if (status == CUDA_SUCCESS) {
    status = driver.cuMemMap(address, sizeBytes, 0, physical, 0);
    if (status == CUDA_SUCCESS) {
      CUmemAccessDesc access{};
      access.location = properties.location;
      access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
      status = driver.cuMemSetAccess(address, sizeBytes, &access, 1);
      if (status == CUDA_SUCCESS) return status;
      driver.cuMemUnmap(address, sizeBytes);
    }
    driver.cuMemRelease(physical);
  }
  releaseInDriver(driver, address, sizeBytes);
  return status;
}

CUresult unplaceDevice(const Driver& driver, uint64_t address, uint64_t sizeBytes,
                       CUmemGenericAllocationHandle physical) {
  const CUresult status = driver.cuMemUnmap(address, sizeBytes);
  driver.cuMemRelease(physical);
  releaseInDriver(driver, address, sizeBytes);
  return status;
}

CUresult mapDevice(Execution& execution, const Submission& s, uint64_t address, uint64_t sizeBytes,
                   int device) {
  if (!wellPlaced(execution, address, sizeBytes) || execution.addresses.overlaps(address, sizeBytes)) {
    execution.lie(s, "places device memory outside the session's range, or over other memory");
    return CUDA_ERROR_INVALID_VALUE;
  }
  MemoryBlock block;
  block.share = execution.memory.take(sizeBytes);
  if (!block.share) return CUDA_ERROR_OUT_OF_MEMORY;
  block.address = address;
  block.sizeBytes = sizeBytes;
  block.context = s.context;
  const CUresult status = placeDevice(execution.driver, address, sizeBytes, device, block.physical);
  if (status != CUDA_SUCCESS) return status;
  execution.addresses.insert(std::move(block));
  return CUDA_SUCCESS;
}

// Registers host memory that lies at `block.address` with the driver, and enters it.
CUresult enterHost(Execution& execution, MemoryBlock block) {
  auto* memory = reinterpret_cast<void*>(block.address);
  const CUresult status = execution.driver.cuMemHostRegister_v2(
      memory, block.sizeBytes, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
  if (status != CUDA_SUCCESS) {
    block.host = Mapping();
    coverAgain(block.address, block.sizeBytes);
    return status;
  }
  execution.statistics.pinnedBytes.fetch_add(block.sizeBytes, std::memory_order_relaxed);
  execution.addresses.insert(std::move(block));
  return CUDA_SUCCESS;
}

CUresult placeHost(Execution& execution, const Submission& s, uint64_t address, uint64_t sizeBytes,
                   MemoryKind kind, uint32_t region) {
  if (!wellPlaced(execution, address, sizeBytes) || execution.addresses.overlaps(address, sizeBytes)) {
    execution.lie(s, "places host memory outside the session's range, or over other memory");
    return CUDA_ERROR_INVALID_VALUE;
  }
  const uint64_t pinned = execution.statistics.pinnedBytes.load(std::memory_order_relaxed);
  if (pinned > execution.settings.pinnedBytes || sizeBytes > execution.settings.pinnedBytes - pinned)
    return CUDA_ERROR_OUT_OF_MEMORY;
  MemoryBlock block;
  block.address = address;
  block.sizeBytes = sizeBytes;
  block.kind = kind;
  block.context = s.context;
  auto* place = reinterpret_cast<void*>(address);
  if (kind != MemoryKind::Shadow && execution.channel.sharesMemory()) {
    auto shared = execution.channel.makeShared(region, place, sizeBytes);
    if (!shared) return CUDA_ERROR_OUT_OF_MEMORY;
    block.host = std::move(*shared);
  } else {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (::mmap(place, sizeBytes, PROT_READ | PROT_WRITE, kFlags, -1, 0) != place)
      return CUDA_ERROR_OUT_OF_MEMORY;
    block.host = Mapping(place, sizeBytes);
  }
  return enterHost(execution, std::move(block));
}

CUresult releaseBlock(Execution& execution, MemoryBlock& block) {
  const uint64_t address = block.address, sizeBytes = block.sizeBytes;
  CUresult status = CUDA_SUCCESS;
  switch (block.kind) {
    case MemoryKind::Device:
      status = unplaceDevice(execution.driver, address, sizeBytes, block.physical);
      break;
    case MemoryKind::Host:
    case MemoryKind::Managed:
    case MemoryKind::Shadow:
      status = execution.driver.cuMemHostUnregister(reinterpret_cast<void*>(address));
      block.host = Mapping();
      coverAgain(address, sizeBytes);
      execution.statistics.pinnedBytes.fetch_sub(sizeBytes, std::memory_order_relaxed);
      break;
    case MemoryKind::Mapped:
      status = execution.driver.cuMemUnmap(address, sizeBytes);
      releaseInDriver(execution.driver, address, sizeBytes);
      break;
    case MemoryKind::Global:
      break;
  }
  execution.addresses.remove(address);
  return status;
}

// A Blocking row that frees: its context is idle by now.
void releaseAt(Execution& execution, Submission& s, uint64_t address,
               std::initializer_list<MemoryKind> kinds) {
  MemoryBlock* block = execution.addresses.findStart(address);
  const bool fits = block && std::find(kinds.begin(), kinds.end(), block->kind) != kinds.end();
  if (!fits) return execution.reply(s, CUDA_ERROR_INVALID_VALUE);
  const CUresult kept = execution.settled(s.context, CUDA_SUCCESS);
  const CUresult status = releaseBlock(execution, *block);
  execution.reply(s, kept != CUDA_SUCCESS ? kept : status);
}

}  // namespace

void handleMapDevice(Execution& execution, Submission& s, const protocol::messages::MapDevice& message,
                     Decoder&) {
  const CUresult status = mapDevice(execution, s, message.address, message.sizeBytes, message.device);
  if (!execution.lied()) execution.reply(s, status);
}

void handleUnmapDevice(Execution& execution, Submission& s, const protocol::messages::UnmapDevice& message,
                       Decoder&) {
  releaseAt(execution, s, message.address, {MemoryKind::Device, MemoryKind::Managed});
}

void handleHostAlloc(Execution& execution, Submission& s, const HostAlloc& message, Decoder&) {
  const CUresult status =
      placeHost(execution, s, message.address, message.sizeBytes, MemoryKind::Host, message.region);
  if (!execution.lied()) execution.reply(s, status);
}

void handleManagedAlloc(Execution& execution, Submission& s, const protocol::messages::ManagedAlloc& message,
                        Decoder&) {
  const CUresult status =
      placeHost(execution, s, message.address, message.sizeBytes, MemoryKind::Managed, message.region);
  if (!execution.lied()) execution.reply(s, status);
}

void handleHostFree(Execution& execution, Submission& s, const protocol::messages::HostFree& message,
                    Decoder&) {
  releaseAt(execution, s, message.address, {MemoryKind::Host, MemoryKind::Managed});
}

void handleHostRegister(Execution& execution, Submission& s, const protocol::messages::HostRegister& message,
                        Decoder&) {
  const CUresult status = placeHost(execution, s, message.address, message.sizeBytes, MemoryKind::Shadow, 0);
  if (!execution.lied()) execution.reply(s, status);
}

void handleHostUnregister(Execution& execution, Submission& s,
                          const protocol::messages::HostUnregister& message, Decoder&) {
  releaseAt(execution, s, message.address, {MemoryKind::Shadow});
}

namespace {

bool isHostMemory(Execution& execution, uint64_t address, uint64_t sizeBytes) {
  const MemoryBlock* block = execution.addresses.find(address);
  const bool host = block && (block->host.valid() || block->managedGlobal);
  return host && sizeBytes <= block->sizeBytes - (address - block->address);
}

}  // namespace

void handleWriteHost(Execution& execution, Submission& s, const protocol::messages::WriteHost& message,
                     Decoder&) {
  if (!isHostMemory(execution, message.address, s.data.size()))
    return execution.posted(s, CUDA_ERROR_INVALID_VALUE);
  if (!s.data.empty()) std::memcpy(reinterpret_cast<void*>(message.address), s.data.data(), s.data.size());
  execution.posted(s, CUDA_SUCCESS);
}

void handleReadHost(Execution& execution, Submission& s, const protocol::messages::ReadHost& message,
                    Decoder&) {
  if (s.to.slot == transport::kNoSlot || message.sizeBytes > s.to.slotBytes)
    return execution.lie(s, "wants more than its slot holds");
  if (!isHostMemory(execution, message.address, message.sizeBytes))
    return execution.reply(s, CUDA_ERROR_INVALID_VALUE);
  const auto into = execution.channel.slotMemory(s.to.slot);
  std::memcpy(into.data(), reinterpret_cast<const void*>(message.address), message.sizeBytes);
  link::addOwned(execution.statistics.bytesToGuest, message.sizeBytes);
  execution.channel.completeDownload(s.to, CUDA_SUCCESS, static_cast<uint32_t>(message.sizeBytes));
}

void handleSetAccess(Execution& execution, Submission& s, const protocol::messages::SetAccess& message,
                     Decoder&) {
  if (!execution.covers(s, message.address, message.sizeBytes) || message.sizeBytes == 0) {
    return execution.reply(s, CUDA_ERROR_INVALID_VALUE);
  }
  // Reservations are the driver's block by block, and so is access.
  CUresult status = CUDA_SUCCESS;
  const uint64_t end = message.address + message.sizeBytes;
  for (uint64_t address = message.address; address < end && status == CUDA_SUCCESS;) {
    const MemoryBlock* block = execution.addresses.find(address);
    const uint64_t blockEnd = std::min(end, block->address + block->sizeBytes);
    status = execution.driver.cuMemSetAccess(address, blockEnd - address, &message.access, 1);
    address = blockEnd;
  }
  execution.reply(s, status);
}

// ---- what forwarded rows of memory need beside their roles

CUresult reserveForMapping(Execution& execution, const Submission& s, uint64_t address, uint64_t sizeBytes) {
  if (!wellPlaced(execution, address, sizeBytes) || execution.addresses.overlaps(address, sizeBytes)) {
    execution.lie(s, "maps memory outside the session's range, or over other memory");
    return CUDA_ERROR_INVALID_VALUE;
  }
  return reserveInDriver(execution.driver, address, sizeBytes);
}

void noteMapping(Execution& execution, const Submission& s, uint64_t address, uint64_t sizeBytes,
                 SharedMemoryShare share, bool mapped) {
  if (!mapped) return releaseInDriver(execution.driver, address, sizeBytes);
  MemoryBlock block;
  block.address = address;
  block.sizeBytes = sizeBytes;
  block.kind = MemoryKind::Mapped;
  block.share = std::move(share);
  block.context = s.context;
  execution.addresses.insert(std::move(block));
}

CUresult unmapRange(Execution& execution, uint64_t address, uint64_t sizeBytes) {
  const uint64_t end = address + sizeBytes;
  if (sizeBytes == 0 || end < address || !execution.addresses.covers(address, sizeBytes))
    return CUDA_ERROR_INVALID_VALUE;
  for (uint64_t at = address; at < end;) {
    const MemoryBlock* block = execution.addresses.find(at);
    const bool whole =
        block->kind == MemoryKind::Mapped && block->address == at && block->sizeBytes <= end - at;
    if (!whole) return CUDA_ERROR_INVALID_VALUE;
    at += block->sizeBytes;
  }
  CUresult status = CUDA_SUCCESS;
  for (uint64_t at = address; at < end;) {
    MemoryBlock* block = execution.addresses.findStart(at);
    at += block->sizeBytes;
    const CUresult one = releaseBlock(execution, *block);
    if (status == CUDA_SUCCESS) status = one;
  }
  return status;
}

void releaseMemoryOf(Execution& execution, ContextObject& context) {
  const auto ofContext = [&](const MemoryBlock& block) {
    return block.context == &context && block.kind != MemoryKind::Mapped;
  };
  while (MemoryBlock* block = execution.addresses.findIf(ofContext)) releaseBlock(execution, *block);
  execution.staging.forget(&context);
}

}  // namespace vgpu::executor
