#include "transport/carrier/memfd_guest_carrier.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/fd_passing.h"
#include "transport/carrier/sealed_memory.h"
#include "transport/carrier/sockets.h"

namespace vgpu::transport {

namespace {
// Regions announced and not mapped yet: each holds a descriptor of the program's.
constexpr size_t kMostUnclaimed = 256;
constexpr auto kAnnouncementTimeout = std::chrono::seconds(2);
}  // namespace

Result<std::unique_ptr<MemfdGuestCarrier>> MemfdGuestCarrier::make(UniqueFd socket,
                                                                   const ChannelLimits& limits,
                                                                   UniqueFd memory, UniqueFd hostProcess) {
  const size_t sizeBytes = layoutOf(limits).totalBytes;
  // Checked, because touching memory beyond a file's end would be a SIGBUS in the user's program.
  if (Status sealed = requireSealed(memory.get(), sizeBytes); !sealed) return sealed.error();
  Result<Mapping> mapping = mapSealed(memory.get(), nullptr, sizeBytes);
  if (!mapping) return mapping.error();
  ::madvise(mapping->data(), sizeBytes, MADV_DONTFORK);
  const auto* control = reinterpret_cast<const ControlPage*>(mapping->data());
  if (control->magic != kControlMagic || std::memcmp(&control->limits, &limits, sizeof limits) != 0)
    return Error{"map the channel", "its memory is not what the executor announced", 0};
  return std::unique_ptr<MemfdGuestCarrier>(
      new MemfdGuestCarrier(std::move(socket), std::move(hostProcess), *std::move(mapping)));
}

MemfdGuestCarrier::MemfdGuestCarrier(UniqueFd socket, UniqueFd hostProcess, Mapping memory)
    : socket_(std::move(socket)), hostProcess_(std::move(hostProcess)), memory_(std::move(memory)) {}

MemfdGuestCarrier::~MemfdGuestCarrier() { hangUp(); }

void MemfdGuestCarrier::watch(CarrierListener& listener) {
  setNonBlocking(socket_.get(), true);
  watcher_.emplace(
      socket_.get(), std::move(hostProcess_), "the executor",
      PeerWatcher::Callbacks{[this] { return PeerWatcher::Readable{.gone = receiveAnnouncements()}; },
                             {},
                             [&listener](const std::string& reason) { listener.onLost(reason); },
                             [&listener] { return listener.onTick(); }});
}

void MemfdGuestCarrier::disconnect() {
  if (socket_.valid()) ::shutdown(socket_.get(), SHUT_RDWR);
}

void MemfdGuestCarrier::hangUp() {
  disconnect();
  if (watcher_) watcher_->stop();
}

void MemfdGuestCarrier::tickSoon() {
  if (watcher_) watcher_->tickSoon();
}

void MemfdGuestCarrier::touch(std::byte* start, size_t lengthBytes) { touchPages(start, lengthBytes); }

void MemfdGuestCarrier::forgetAfterFork() {
  if (watcher_) watcher_->forgetAfterFork();
  socket_.reset();                  // only our copy of the descriptor: the parent's connection stays
  new Mapping(std::move(memory_));  // nothing is mapped there in this process, or something else is by now
}

std::string MemfdGuestCarrier::receiveOne(bool& received) {
  RegionAnnouncement announcement{};
  received = false;
  Result<ReceivedMessage> message =
      receiveWithFds(socket_.get(), std::as_writable_bytes(std::span(&announcement, 1)));
  if (!message) return message.error().code == EAGAIN ? "" : "the connection to the executor broke";
  if (message->sizeBytes == 0) return "the executor closed the connection";
  if (message->sizeBytes != sizeof announcement || announcement.magic != kRegionMagic ||
      message->fds.size() != 1)
    return "the executor announced memory in no known form";
  if (announced_.size() >= kMostUnclaimed) return "the executor announced more memory than was asked for";
  announced_.insert_or_assign(announcement.regionId,
                              Announced{std::move(message->fds[0]), announcement.sizeBytes});
  received = true;
  return {};
}

std::string MemfdGuestCarrier::receiveAnnouncements() {
  const std::lock_guard lock(mutex_);
  std::string reason;
  for (bool received = true; received && reason.empty();) reason = receiveOne(received);
  arrived_.notify_all();
  return reason;
}

Result<Mapping> MemfdGuestCarrier::mapShared(uint64_t regionId, void* address, size_t sizeBytes) {
  const auto deadline = now() + kAnnouncementTimeout;
  for (std::string reason; reason.empty();) {
    reason = receiveAnnouncements();
    std::unique_lock lock(mutex_);
    if (const auto found = announced_.find(regionId); found != announced_.end()) {
      const Announced region = std::move(found->second);
      announced_.erase(found);
      lock.unlock();
      if (Status sealed = requireSealed(region.fd.get(), sizeBytes); !sealed) return sealed.error();
      Result<Mapping> mapping = mapSealed(region.fd.get(), address, sizeBytes);
      if (mapping) ::madvise(mapping->data(), sizeBytes, MADV_DONTFORK);
      return mapping;
    }
    if (now() >= deadline) break;
    arrived_.wait_for(lock, std::chrono::milliseconds(5));
  }
  return Error{"map shared memory", "the executor did not announce region " + std::to_string(regionId), 0};
}

Result<Mapping> MemfdGuestCarrier::makeShared(uint64_t, void*, size_t) {
  return Error{"make shared memory", "only the host makes memory", 0};
}

Status MemfdGuestCarrier::shareDescriptor(uint64_t, int, size_t) {
  return Error{"share a descriptor", "only the host shares memory", 0};
}

}  // namespace vgpu::transport
