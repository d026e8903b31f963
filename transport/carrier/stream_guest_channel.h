// StreamGuestChannel: a GuestChannel over a byte stream (unix, TCP; whatever reads and writes in order).
// Guest process, any thread. Whoever waits reads the socket for all, so that a round trip needs no other
// thread; while nobody waits the watching thread does. What lies in the shared mapping on other carriers
// (mailboxes, slot control, retired numbers) lies in private memory here, written by the reader. Every frame
// from the host is checked against what this side waits for before a byte of it is received.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "base/unique_fd.h"
#include "transport/carrier/death_notice.h"
#include "transport/carrier/frame.h"
#include "transport/carrier/peer_watcher.h"
#include "transport/carrier/wait_list.h"
#include "transport/ring/guest_channel.h"
#include "transport/ring/guest_window.h"
#include "transport/ring/layout.h"
#include "transport/ring/record_writer.h"
#include "transport/ring/spin.h"

namespace vgpu::transport {

class StreamGuestChannel final : public GuestChannel, private FrameSink {
 public:
  StreamGuestChannel(UniqueFd socket, const ChannelLimits& limits);
  ~StreamGuestChannel() override;

  uint64_t postWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                        std::span<const std::byte> data) override;
  Reply call(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
             std::span<std::byte> payloadOut) override;
  Reply callWithData(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                     std::span<const std::byte> data, std::span<std::byte> payloadOut) override;
  std::optional<Download> tryBeginDownload(uint16_t call, uint16_t thread,
                                           std::span<const std::byte> arguments,
                                           std::span<std::byte> out) override;
  Download beginDownload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                         std::span<std::byte> out) override;
  Reply finishDownload(const Download& download) override;
  uint64_t retired(uint32_t streamIndex) override;
  Wait waitRetired(uint32_t streamIndex, uint64_t sequence, std::chrono::nanoseconds timeout) override;
  void flush() override;
  Wait waitEvent(Event& event, std::chrono::nanoseconds timeout) override;
  uint64_t eventsAnnounced() override { return eventsReceived_.load(std::memory_order_acquire); }
  void interruptEvents() override;
  bool sharesMemory() const override { return false; }
  Result<Mapping> mapShared(uint64_t regionId, void* address, size_t sizeBytes) override;

 private:
  using Deadline = std::optional<MonotonicTime>;
  // Where a record's large answer goes; `sequence` is 0 while nothing is expected.
  struct Expected {
    std::atomic<uint64_t> sequence{0};
    std::byte* out = nullptr;
    uint32_t wantedBytes = 0;
  };
  enum class Urgency { Now, Soon };

  // Sending, under sendMutex_ from reserve to publish.
  std::byte* reserve(uint16_t call, uint16_t thread, size_t argumentBytes) override;
  uint64_t publish() override;
  std::byte* reserveShape(const RecordShape& shape, std::byte* out, bool wantsReply);
  void finishSending(Urgency urgency, std::span<const std::byte> data = {});
  ssize_t sendFrom(size_t done, std::span<const std::byte> data, int flags);
  bool sendAll(std::span<const std::byte> data, bool mayBlock);
  uint64_t postShape(const RecordShape& shape, std::span<const std::byte> arguments,
                     std::span<const std::byte> data, std::byte* out, bool wantsReply);
  uint64_t postUpload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                      std::span<const std::byte> data, bool wantsReply);

  // Receiving, under reader_.
  bool place(const FrameHeader& header, size_t offset, std::span<std::byte>& into,
             const char*& wrong) override;
  bool complete(const FrameHeader& header, const char*& wrong) override;
  bool placeReply(const FrameHeader& header, std::span<std::byte>& into);
  bool placeInSlot(uint32_t slot, const FrameHeader& header, std::span<std::byte>& into);
  // Reads and handles frames until there is none or ready(context).
  void readWhileNot(bool (*ready)(void*), void* context);
  void waitForBytes(Deadline deadline);
  bool heard(FrameReader::Outcome outcome);
  PeerWatcher::Readable readInBackground();

  // Waiting.
  template <class Ready>
  Wait await(SpinBudget& budget, Ready&& ready, Deadline deadline, bool mayRead = true);
  Wait sleepUntil(WaitList::Waiter& waiter, Deadline deadline);
  uint16_t takeSlot(bool upload);
  Download postDownload(uint16_t call, uint16_t thread, std::span<const std::byte> arguments,
                        std::span<std::byte> out, uint16_t slot);
  Reply awaitReply(uint16_t thread, uint64_t sequence, uint16_t slot, std::span<std::byte> payloadOut);
  void giveSlot(uint16_t slot);
  void letReaderLeave();
  void fail(const std::string& reason);
  void forgetParent() override;

  UniqueFd socket_;

  std::mutex sendMutex_;
  std::vector<std::byte> outgoing_;
  uint32_t waitingRecords_ = 0;
  MonotonicTime lastSend_{};

  std::mutex reader_;
  FrameReader frames_;
  std::vector<std::byte> eventBytes_;
  std::atomic<uint32_t> activity_{0};  // counts reads by waiting threads
  uint32_t activitySeen_ = 0;          // by the watching thread

  std::vector<Mailbox> mailboxes_;
  std::unique_ptr<std::atomic<uint64_t>[]> awaited_;  // the sequence whose reply a thread waits for
  std::vector<SlotControl> slotControl_;
  std::unique_ptr<Expected[]> expected_;  // by slot
  std::unique_ptr<std::atomic<uint64_t>[]> retired_;
  GuestWindow window_;
  std::mutex eventMutex_;
  std::deque<Event> events_;
  size_t eventsBytes_ = 0;
  std::atomic<uint64_t> eventsReceived_{0};
  std::atomic<uint64_t> eventsTaken_{0};
  std::atomic<bool> eventsInterrupted_{false};

  WaitList waiters_;
  std::unique_ptr<SpinBudget[]> replyBudgets_;
  SpinBudget slotBudget_, retireBudget_, eventBudget_;
  std::optional<PeerWatcher> watcher_;
  std::optional<DeathNotice> deathNotice_;  // where the peer cannot see our end by itself
};

std::unique_ptr<GuestChannel> makeStreamGuestChannel(UniqueFd socket, const ChannelLimits& limits);

}  // namespace vgpu::transport
