#include "transport/ring/guest_channel.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

namespace vgpu::transport {

namespace {

// A page of our own that fork empties (madvise(2), MADV_WIPEONFORK). Where the kernel does not know that, a
// child made without the C library keeps a channel that believes it lives.
Mapping makeLifePage() {
  const auto bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  ::madvise(page, bytes, MADV_WIPEONFORK);
  return Mapping(page, bytes);
}

constexpr char kInChild[] = "the session belongs to the parent process: CUDA cannot be used after fork";

}  // namespace

GuestChannel::GuestChannel(const ChannelLimits& limits)
    : limits_(limits),
      lifePage_(makeLifePage()),
      life_(reinterpret_cast<uint32_t*>(lifePage_.data())),
      threads_(limits.threads) {
  storeRelaxed(life_, uint32_t{1});
}

std::optional<uint16_t> GuestChannel::attachThread() {
  if (lost()) return std::nullopt;
  return threads_.take();
}

void GuestChannel::detachThread(uint16_t thread) {
  if (!lost()) threads_.give(thread);  // in a forked child another thread may have held the lock
}

bool GuestChannel::lose(const std::string& reason) {
  if (lost()) return false;
  const std::lock_guard lock(reasonMutex_);
  if (lost()) return false;
  reason_ = reason;
  storeRelease(life_, uint32_t{0});
  return true;
}

std::string GuestChannel::lostReason() const {
  const std::lock_guard lock(reasonMutex_);
  return lost() && reason_.empty() ? kInChild : reason_;
}

void GuestChannel::inForkedChild() {
  storeRelaxed(life_, uint32_t{0});
  new (&reasonMutex_) std::mutex;  // another thread of the parent may have held it
  reason_ = kInChild;
  forgetParent();
}

}  // namespace vgpu::transport
