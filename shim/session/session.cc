#include "shim/session/session.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "shim/session/event_thread.h"
#include "transport/carrier/connect.h"

namespace vgpu::shim {
namespace {

constexpr const char* kDefaultEndpoint = "unix:/run/vgpu/mediator.sock";
constexpr uint64_t kSmallestRangeBytes = uint64_t{1} << 30;

CUresult refuse(CUresult status, const std::string& line) {
  log::error(line);
  return status;
}

CUresult statusOf(transport::ConnectError::Kind kind) {
  using enum transport::ConnectError::Kind;
  switch (kind) {
    case NotThere:
      return CUDA_ERROR_NO_DEVICE;
    case NoPermission:
      return CUDA_ERROR_NOT_PERMITTED;
    case WrongVersion:
      return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
    case Refused:
    case TimedOut:
    case Broken:
      return CUDA_ERROR_SYSTEM_NOT_READY;
  }
  return CUDA_ERROR_UNKNOWN;
}

// Under RLIMIT_AS a reservation counts as memory: take no more than a quarter of what the program may have.
uint64_t rangeBytesHere() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return protocol::kSessionRangeBytes;
  uint64_t bytes = protocol::kSessionRangeBytes;
  while (bytes > limit.rlim_cur / 4 && bytes > kSmallestRangeBytes) bytes /= 2;
  return bytes;
}

bool wantsStrict() {
  const char* value = std::getenv("VGPU_STRICT");
  return value && std::strcmp(value, "0") != 0 && *value;
}

}  // namespace

CUresult Session::start() {
  static std::mutex mutex;
  static std::optional<CUresult> result;
  static pid_t startedBy = 0;
  if (get()) return CUDA_SUCCESS;
  std::lock_guard lock(mutex);
  // A child made by fork has no session; the parent's stays the parent's, as with the native driver.
  if (result && startedBy != ::getpid()) return CUDA_ERROR_NOT_INITIALIZED;
  if (!result) {
    startedBy = ::getpid();
    result = connectOnce();
  }
  return *result;
}

CUresult Session::connectOnce() {
  auto* session = new Session;
  if (const CUresult status = session->connect(); status != CUDA_SUCCESS) {
    delete session;
    return status;
  }
  pthread_atfork(nullptr, nullptr, [] { current_.store(nullptr, std::memory_order_release); });
  current_.store(session, std::memory_order_release);
  startEventThread(*session);
  return CUDA_SUCCESS;
}

void Session::reserveCandidates(protocol::Hello& hello) {
  hello.rangeBytes = rangeBytesHere();
  candidates_.resize(protocol::kRangeCandidateCount);
  for (uint32_t i = 0; i < protocol::kRangeCandidateCount; ++i) {
    auto range = reserveAt(protocol::kRangeCandidates[i], hello.rangeBytes);
    if (!range) continue;
    candidates_[i] = std::move(*range);
    hello.freeRanges |= 1u << i;
  }
}

CUresult Session::connect() {
  const char* text = std::getenv("VGPU_ENDPOINT");
  auto endpoint = transport::parseEndpoint(text && *text ? text : kDefaultEndpoint);
  if (!endpoint) return refuse(CUDA_ERROR_INVALID_VALUE, "VGPU_ENDPOINT: " + endpoint.error().message());

  protocol::Hello hello{};
  hello.protocolVersion = protocol::kProtocolVersion;
  hello.pid = ::getpid();
  hello.strict = strict_ = wantsStrict();
  std::strncpy(hello.program, program_invocation_short_name, sizeof hello.program - 1);
  reserveCandidates(hello);
  if (hello.freeRanges == 0)
    return refuse(CUDA_ERROR_OUT_OF_MEMORY, "no free range of addresses for the session; raise RLIMIT_AS");

  auto connected = transport::connect(*endpoint, std::as_bytes(std::span(&hello, 1)));
  if (connected.error) return refuse(statusOf(connected.error->kind), connected.error->message);
  channel_ = std::move(connected.channel);
  if (const CUresult status = acceptWelcome(connected.welcome); status != CUDA_SUCCESS) {
    return refuse(status, "the mediator at " + endpoint->text() +
                              " answered with a welcome that this version cannot use; "
                              "install the same vgpu version on both sides");
  }
  return CUDA_SUCCESS;
}

CUresult Session::acceptWelcome(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof welcome_) return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
  std::memcpy(&welcome_, bytes.data(), sizeof welcome_);
  const auto rest = bytes.subspan(sizeof welcome_);
  const uint64_t granularity = welcome_.granularityBytes;
  const bool plausible = welcome_.protocolVersion == protocol::kProtocolVersion &&
                         welcome_.deviceCount <= protocol::kMaxDevices &&
                         rest.size() == welcome_.deviceCount * sizeof(protocol::DeviceInfo) &&
                         granularity >= 4096 && (granularity & (granularity - 1)) == 0 &&
                         granularity <= (uint64_t{1} << 30);
  if (!plausible) return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;

  bool held = false;
  for (Mapping& candidate : candidates_) {
    const bool chosen = candidate.valid() &&
                        reinterpret_cast<uint64_t>(candidate.data()) == welcome_.rangeBase &&
                        welcome_.rangeBytes <= candidate.sizeBytes();
    held |= chosen;
    if (!chosen) candidate.reset();
  }
  if (!held) return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;

  devices_.resize(welcome_.deviceCount);
  std::memcpy(devices_.data(), rest.data(), rest.size());
  for (protocol::DeviceInfo& device : devices_) {
    device.name[sizeof device.name - 1] = 0;
    device.pciBusId[sizeof device.pciBusId - 1] = 0;
  }
  addresses_ = std::make_unique<AddressSpace>(welcome_.rangeBase, welcome_.rangeBytes, granularity,
                                              welcome_.guardBytes);
  for (int device = 0; device < static_cast<int>(devices_.size()); ++device) {
    primaries_.push_back(makeContext(*this, device, true));
    pools_.addDevice(device);
  }
  return CUDA_SUCCESS;
}

Context* makeContext(Session& session, int device, bool primary) {
  auto* context = new Context;
  context->handle = session.contexts.insert(context);
  context->device = device;
  context->primary = primary;
  context->alive = !primary;  // a primary context lives while it is retained
  context->id = session.nextId();
  auto* legacy = new Stream;
  legacy->wire = protocol::kLegacyStream;
  legacy->context = context;
  legacy->id = session.nextId();
  context->legacy = legacy;
  return context;
}

Stream& Session::perThreadStream(Context& context) {
  Stream*& stream = thisThread().perThreadStreams[&context];
  if (!stream) {
    stream = new Stream;
    stream->wire = protocol::kPerThreadStream;
    stream->context = &context;
    stream->id = nextId();
  }
  return *stream;
}

uint32_t Session::takeSlot() {
  std::lock_guard lock(slotsMutex_);
  if (usedSlots_ < channel_->limits().streams) return usedSlots_++;
  if (freeSlots_.empty()) return Stream::kNoSlotYet;
  // The oldest first: a mark that is still under way for the stream that had it has most time to arrive.
  const uint32_t slot = freeSlots_.front();
  freeSlots_.erase(freeSlots_.begin());
  return slot;
}

void Session::returnSlot(uint32_t slot) {
  std::lock_guard lock(slotsMutex_);
  freeSlots_.push_back(slot);
}

}  // namespace vgpu::shim
