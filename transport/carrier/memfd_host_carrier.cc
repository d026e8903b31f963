#include "transport/carrier/memfd_host_carrier.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/fd_passing.h"
#include "transport/carrier/sealed_memory.h"
#include "transport/carrier/sockets.h"

namespace vgpu::transport {

Result<std::unique_ptr<MemfdHostCarrier>> MemfdHostCarrier::make(UniqueFd socket,
                                                                 const ChannelLimits& limits) {
  const size_t sizeBytes = layoutOf(limits).totalBytes;
  Result<UniqueFd> fd = makeSealedMemory("vgpu-channel", sizeBytes);
  if (!fd) return fd.error();
  Result<Mapping> memory = mapSealed(fd->get(), nullptr, sizeBytes);
  if (!memory) return memory.error();
  auto* control = reinterpret_cast<ControlPage*>(memory->data());
  control->magic = kControlMagic;
  control->limits = limits;
  return std::unique_ptr<MemfdHostCarrier>(
      new MemfdHostCarrier(std::move(socket), *std::move(fd), *std::move(memory)));
}

MemfdHostCarrier::MemfdHostCarrier(UniqueFd socket, UniqueFd memoryFd, Mapping memory)
    : socket_(std::move(socket)), memoryFd_(std::move(memoryFd)), memory_(std::move(memory)) {}

MemfdHostCarrier::~MemfdHostCarrier() { hangUp(); }

void MemfdHostCarrier::watch(CarrierListener& listener) {
  memoryFd_.reset();
  setNonBlocking(socket_.get(), true);
  const auto onReadable = [this]() -> PeerWatcher::Readable {
    std::byte unexpected;
    const ssize_t got = ::recv(socket_.get(), &unexpected, 1, MSG_DONTWAIT);
    if (got > 0) return {.gone = "the guest sent bytes where none belong"};
    if (got == 0) return {.gone = "the guest closed the connection"};
    return {.gone = errno == EAGAIN || errno == EINTR ? "" : "the connection to the guest broke"};
  };
  watcher_.emplace(socket_.get(), peerProcessOf(socket_.get()), "the guest",
                   PeerWatcher::Callbacks{onReadable,
                                          {},
                                          [&listener](const std::string& reason) { listener.onLost(reason); },
                                          [&listener] { return listener.onTick(); }});
}

void MemfdHostCarrier::disconnect() { ::shutdown(socket_.get(), SHUT_RDWR); }

void MemfdHostCarrier::hangUp() {
  disconnect();
  if (watcher_) watcher_->stop();
}

void MemfdHostCarrier::tickSoon() {
  if (watcher_) watcher_->tickSoon();
}

void MemfdHostCarrier::touch(std::byte* start, size_t lengthBytes) { touchPages(start, lengthBytes); }

Result<Mapping> MemfdHostCarrier::mapShared(uint64_t, void*, size_t) {
  return Error{"map shared memory", "only a guest maps what its host announced", 0};
}

Result<Mapping> MemfdHostCarrier::makeShared(uint64_t regionId, void* address, size_t sizeBytes) {
  Result<UniqueFd> fd = makeSealedMemory("vgpu-shared", sizeBytes);
  if (!fd) return fd.error();
  Result<Mapping> mapping = mapSealed(fd->get(), address, sizeBytes);
  if (!mapping) return mapping.error();
  if (Status shared = shareDescriptor(regionId, fd->get(), sizeBytes); !shared) return shared.error();
  return mapping;
}

Status MemfdHostCarrier::shareDescriptor(uint64_t regionId, int descriptor, size_t sizeBytes) {
  if (Status sealed = requireSealed(descriptor, sizeBytes); !sealed) return sealed;
  const RegionAnnouncement announcement{kRegionMagic, regionId, sizeBytes, 0};
  const std::lock_guard lock(sendMutex_);
  // Non-blocking: a guest that does not take its descriptors gets no more of them.
  return sendWithFds(socket_.get(), std::as_bytes(std::span(&announcement, 1)), std::span(&descriptor, 1));
}

}  // namespace vgpu::transport
