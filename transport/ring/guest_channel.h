// GuestChannel: the guest's end of a session. Runs in the guest program; every function may be called from
// any thread except where it says otherwise. All bytes that come from the host are checked here before they
// are handed out; what they mean is for the caller to check. After the session is lost every function returns
// at once and says so, for ever. In a forked child the channel is lost from the start, and touches nothing
// that belongs to the parent.
#pragma once

#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "transport/ring/fork_registry.h"
#include "transport/ring/record.h"
#include "transport/ring/shared_word.h"
#include "transport/ring/thread_ids.h"

namespace vgpu::transport {

// The answer to a call. `lost`: the session ended before an answer; status and payloadBytes mean nothing
// then.
struct Reply {
  bool lost = false;
  int32_t status = 0;
  uint32_t payloadBytes = 0;  // written to the caller's span; never more than fits
  uint64_t sequence = 0;      // of the record that was answered
};

// A download that is under way: from beginDownload until finishDownload.
struct Download {
  uint16_t slot = kNoSlot;
  uint32_t wantedBytes = 0;
  uint64_t sequence = 0;
  std::byte* out = nullptr;
};

struct Event {
  uint16_t kind = 0;
  uint64_t sequence = 0;  // 1, 2, ...: comparable with eventsAnnounced()
  std::vector<std::byte> bytes;
};

enum class Wait { Ready, TimedOut, Interrupted, Lost };

constexpr auto kForever = std::chrono::nanoseconds::max();
// How many downloads one thread should keep in flight: enough to overlap filling and draining, few enough for
// the cache.
constexpr size_t kDownloadsInFlight = 4;

class GuestChannel : private ForkSensitive {
 public:
  ~GuestChannel() override = default;
  GuestChannel(const GuestChannel&) = delete;
  GuestChannel& operator=(const GuestChannel&) = delete;

  // ---- guest threads: an id names the mailbox and the executor's record of the thread.
  // nullopt when limits().threads are attached (the caller fails its call by name; ids are never shared), or
  // lost.
  std::optional<uint16_t> attachThread();
  // The id may be given out again at once: post what tells the executor to forget the thread before this.
  void detachThread(uint16_t thread);

  // ---- records. Sequences count all records of the session from 1; 0 means lost.
  // `fill(std::byte* arguments, uint64_t sequence)` writes exactly argumentBytes (<= kMaxArgumentBytes)
  // straight into the ring. It runs under the producers' lock, so what it stores beside is ordered like the
  // sequences: it must not block, throw or use the channel. Records of one process are executed in the order
  // of their sequences.
  template <class Fill>
  uint64_t post(uint16_t call, uint16_t thread, size_t argumentBytes, Fill&& fill) {
    std::byte* arguments = reserve(call, thread, argumentBytes);
    if (!arguments) return 0;
    fill(arguments, sequence_);
    return publish();
  }
  uint64_t post(uint16_t call, uint16_t thread, std::span<const std::byte> arguments) {
    return post(call, thread, arguments.size(),
                [&](std::byte* into, uint64_t) { copyBytes(into, arguments); });
  }
  // `data` (<= limits().slotBytes) is copied or sent before this returns. May wait for a window slot.
  virtual uint64_t postWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                                std::span<const std::byte> data) = 0;

  // Posts and waits for the reply of that record. payloadOut may be as large as a window slot.
  virtual Reply call(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                     std::span<std::byte> payloadOut) = 0;
  // The same with data for the host. A record has one attachment, so payloadOut is at most kReplyInlineBytes
  // here.
  virtual Reply callWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                             std::span<const std::byte> data, std::span<std::byte> payloadOut) = 0;

  // ---- pipelined downloads, finished in any order by the thread that began them. The host answers each with
  // one completeDownload. `out` (<= limits().slotBytes) must stay valid until finishDownload; it may be
  // written any time before. tryBeginDownload never waits for a slot: nullopt means finish one of yours
  // first. beginDownload waits; a thread that has downloads in flight must use tryBeginDownload, or threads
  // could wait for each other for ever.
  virtual std::optional<Download> tryBeginDownload(uint16_t call, uint16_t thread,
                                                   std::span<const std::byte> arguments,
                                                   std::span<std::byte> out) = 0;
  virtual Download beginDownload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                                 std::span<std::byte> out) = 0;
  // Waits until the host has completed it; payloadBytes were written to `out`. A Download with sequence 0
  // answers lost.
  virtual Reply finishDownload(const Download& download) = 0;

  // ---- retired numbers by stream index (< limits().streams): a plain read, and a wait that sleeps.
  virtual uint64_t retired(uint32_t streamIndex) = 0;
  virtual Wait waitRetired(uint32_t streamIndex, uint64_t sequence,
                           std::chrono::nanoseconds timeout = kForever) = 0;
  // Makes sure that everything posted so far is on its way. Needed only before the caller waits for something
  // that the channel does not know of; call, downloads and waitRetired do it themselves.
  virtual void flush() = 0;

  // ---- events from the host. One thread at a time waits; the others may ask what was announced.
  // Events that arrived before the session was lost are delivered before Lost.
  virtual Wait waitEvent(Event& event, std::chrono::nanoseconds timeout = kForever) = 0;
  // Number of events that the host has posted so far. Read after a reply it counts at least those posted
  // before that reply, so that whoever waits until that many were handled has seen the device's printf of the
  // kernels it waited for.
  virtual uint64_t eventsAnnounced() = 0;
  // Makes a waitEvent of another thread return Interrupted (once; also when it only begins later).
  virtual void interruptEvents() = 0;

  // ---- memory made by the host and announced under an id. Not on byte streams: there sharesMemory() is
  // false, mapShared fails, and the caller keeps private memory coherent by copies.
  virtual bool sharesMemory() const = 0;
  // Maps `sizeBytes` of the region at `address` (replacing what the caller reserved there), or anywhere for
  // nullptr. The mapping is not inherited by fork. Waits briefly for an announcement that is still on its
  // way.
  virtual Result<Mapping> mapShared(uint64_t regionId, void* address, size_t sizeBytes) = 0;

  // ---- the session
  bool lost() const { return loadRelaxed(life_) == 0; }
  // Why, in plain words ("the executor ended"); empty while the session lives.
  std::string lostReason() const;
  const ChannelLimits& limits() const { return limits_; }

 protected:
  explicit GuestChannel(const ChannelLimits& limits);

  // Locks the producers, counts sequence_ up and returns room for the arguments, or nullptr when lost;
  // publish() makes the record visible and unlocks. Nothing may fail in between.
  virtual std::byte* reserve(uint16_t call, uint16_t thread, size_t argumentBytes) = 0;
  virtual uint64_t publish() = 0;

  // The session is lost from here on; false when it was already.
  bool lose(const std::string& reason);
  // In a forked child, where the channel is lost: lets go of what is the parent's without disturbing it.
  virtual void forgetParent() = 0;

  ChannelLimits limits_;
  uint64_t sequence_ = 0;  // of the last record; under the producers' lock

 private:
  void inForkedChild() final;

  // One word in a page that a child finds empty, also one made by a system call that no library hears of: for
  // the child the session is lost before it can write to what it shares with its parent.
  Mapping lifePage_;
  uint32_t* life_;
  ThreadIds threads_;
  mutable std::mutex reasonMutex_;
  std::string reason_;
};

}  // namespace vgpu::transport
