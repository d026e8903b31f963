// HostChannel: the executor's end of a session. One dispatcher thread calls next(); everything else may be
// called from any thread. The guest is untrusted: next() copies each record to private memory and checks
// header, sizes, slot and sequence before it hands it out. The arguments' meaning is for the caller to check,
// and bytes in a window slot may change at any time. No function blocks on a guest that does not read, except
// next().
#pragma once

#include <array>
#include <chrono>
#include <span>
#include <string>

#include "base/mapping.h"
#include "base/result.h"
#include "transport/ring/record.h"

namespace vgpu::transport {

// Where the answer to a record goes. Plain data, to be kept with work that is finished later.
struct ReplyTo {
  uint16_t thread = kNoThread;
  uint16_t slot = kNoSlot;  // a download's slot
  uint32_t slotBytes = 0;   // how much of it the guest asked for
  uint64_t sequence = 0;
};

// One record, private to whoever owns the object. About 8 KiB; only the lines that arrived are written.
class IncomingRecord {
 public:
  uint16_t call() const { return header_.call; }
  uint16_t thread() const { return header_.thread; }
  uint64_t sequence() const { return header_.sequence; }
  Attachment attachment() const { return attachment_; }
  // The slot that must be released (Upload) or completed or replied to (Download); kNoSlot without one.
  uint16_t slot() const { return header_.slot; }
  std::span<const std::byte> arguments() const { return {bytes_.data() + argumentsOffset_, argumentBytes_}; }
  // Upload: the data, private when inline, otherwise in the slot, where the guest may still write to it, or
  // where UploadPlaces wanted it. Download: empty; dataBytes() is what the guest wants.
  std::span<const std::byte> data() const { return data_; }
  uint32_t dataBytes() const { return dataBytes_; }
  ReplyTo replyTo() const {
    const bool download = attachment_ == Attachment::Download;
    return {header_.thread, download ? header_.slot : kNoSlot, download ? dataBytes_ : 0, header_.sequence};
  }

 private:
  friend class RecordReader;
  RecordHeader header_{};
  Attachment attachment_ = Attachment::None;
  uint32_t argumentsOffset_ = 0;
  uint32_t argumentBytes_ = 0;
  uint32_t dataBytes_ = 0;
  std::span<const std::byte> data_;
  alignas(kLineBytes) std::array<std::byte, kMaxRecordLines * kLineBytes> bytes_;
};

enum class Next {
  Record,
  TimedOut,
  Interrupted,
  Lost,       // the guest is gone
  Violation,  // the guest broke the protocol: log violation(), count it, end the session
};

// Lets the data of an upload be received where it belongs. Only a byte stream asks: elsewhere the data lies
// in the window before its record does.
class UploadPlaces {
 public:
  // On the dispatcher, inside next(): `record` is checked and all records before it were handed out; its data
  // is still on its way. Room for record.dataBytes(), which must stay until next() has handed this record
  // out; empty: the data goes to the record's window slot.
  virtual std::span<std::byte> placeFor(const IncomingRecord& record) = 0;

 protected:
  ~UploadPlaces() = default;
};

class HostChannel {
 public:
  virtual ~HostChannel() = default;
  HostChannel(const HostChannel&) = delete;
  HostChannel& operator=(const HostChannel&) = delete;

  // ---- the dispatcher
  // Records that were published before the guest died are still delivered before Lost.
  virtual Next next(IncomingRecord& record,
                    std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max()) = 0;
  // Asked from now on; before the first next(). Borrowed.
  virtual void setUploadPlaces(UploadPlaces*) {}
  // Makes next() return Interrupted (once; also when it only begins later).
  virtual void interrupt() = 0;
  // What the guest did wrong, after Next::Violation.
  virtual std::string violation() const = 0;

  // ---- answers
  // One a record that the guest waits for. Payloads above kReplyInlineBytes need the slot that the guest
  // attached for it (to.slotBytes); what does not fit is cut off, so check before. Frees an attached download
  // slot.
  virtual void reply(const ReplyTo& to, int32_t status, std::span<const std::byte> payload = {}) = 0;
  // An upload's slot goes back to the guest. Copy the data out first and release early when its stream cannot
  // run now ("spill"): the guest has few slots, and waits for them.
  virtual void releaseSlot(uint16_t slot) = 0;
  // The memory of a slot whose record is being worked on: where a download's data goes.
  virtual std::span<std::byte> slotMemory(uint16_t slot) = 0;
  // A download begun with beginDownload is in slotMemory: exactly one a record, also when it failed (bytes
  // 0).
  virtual void completeDownload(const ReplyTo& to, int32_t status, uint32_t bytes) = 0;
  // Everything up to `sequence` on this stream is done. Numbers of one stream only grow.
  virtual void retire(uint32_t streamIndex, uint64_t sequence) = 0;

  // ---- events
  // `bytes` at most kMaxEventBytes. Returns the event's sequence, 0 when lost. Never blocks: queued privately
  // while the ring is full; a guest that lets more than kMostQueuedEventBytes pile up loses its session.
  virtual uint64_t postEvent(uint16_t kind, std::span<const std::byte> bytes) = 0;

  // ---- memory shared with the guest (GuestChannel::mapShared). Fails on byte streams.
  virtual bool sharesMemory() const = 0;
  // Makes sealed memory, maps it at `address` (replacing what the caller reserved there; nullptr: anywhere),
  // announces it.
  virtual Result<Mapping> makeShared(uint64_t regionId, void* address, size_t sizeBytes) = 0;
  // Announces memory made elsewhere (a driver's export). `fd` is borrowed; it must be a memfd sealed against
  // shrinking and growing.
  virtual Status shareDescriptor(uint64_t regionId, int fd, size_t sizeBytes) = 0;

  // ---- the session
  virtual bool lost() const = 0;
  // Ends the session; the guest sees it within milliseconds, next() returns Lost.
  virtual void close() = 0;
  const ChannelLimits& limits() const { return limits_; }

 protected:
  explicit HostChannel(const ChannelLimits& limits) : limits_(limits) {}
  ChannelLimits limits_;
};

constexpr size_t kMostQueuedEventBytes = size_t{64} << 20;

}  // namespace vgpu::transport
