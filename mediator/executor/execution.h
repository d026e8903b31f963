// Execution: one session at work. The dispatcher thread takes records in ring order, decodes them, passes
// each operation of a stream through the admission point, calls the driver and answers. Only waits and long
// loads run beside it, on workers. It owns the session's objects, addresses and queues; the driver table,
// channel and statistics outlive it. Everything in a Submission comes from the guest: handles, addresses,
// sizes are checked here before use.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "mediator/executor/address_map.h"
#include "mediator/executor/blobs.h"
#include "mediator/executor/completion.h"
#include "mediator/executor/driver.h"
#include "mediator/executor/inbox.h"
#include "mediator/executor/memory_budget.h"
#include "mediator/executor/objects.h"
#include "mediator/executor/staging.h"
#include "mediator/executor/submission.h"
#include "mediator/executor/workers.h"
#include "mediator/link/session_statistics.h"
#include "protocol/marshal/wire.h"

namespace vgpu::executor {

class OutputForwarder;

struct ExecutionSettings {
  uint64_t memoryBytes = 0;           // device memory of the session; 0: what the device has
  link::LedgerPlace* vgpu = nullptr;  // the session's place in its vGPU's memory; borrowed
  uint64_t pinnedBytes = uint64_t{8} << 30;
  uint64_t spillBytes = uint64_t{256} << 20;  // staging and held data
  uint32_t heldOperations = 16384;
  uint64_t rangeBase = 0, rangeBytes = 0;  // the session's addresses, reserved
  bool strict = false;                     // every operation is waited for, also where the guest did not ask
};

// One wait for the driver, answered when it is over.
struct Wait {
  enum class For : uint8_t { Stream, Event, Context };
  For what = For::Context;
  ContextObject* context = nullptr;
  StreamObject* stream = nullptr;
  EventObject* event = nullptr;
  std::function<void(CUresult)> then;  // on the dispatcher, instead of an answer
  transport::ReplyTo to;
  uint16_t number = 0;
  MonotonicTime since;
  CUresult status = CUDA_SUCCESS;  // an earlier failure that the answer reports
};

class Execution final : private transport::UploadPlaces {
 public:
  enum class End { Lost, Violation };

  Execution(const Driver& driver, transport::HostChannel& channel, link::StatisticsPage& statistics,
            Admission& admission, const ExecutionSettings& settings);
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // Serves the guest until it is gone or has lied.
  End run();
  // Any thread: held operations may be allowed now.
  void wake();
  // One record; run() does this for each. False: the guest has lied, and the session is over.
  bool dispatch(Submission& s);
  // What other threads have left for the dispatcher; run() does this between records.
  void settleInbox();
  void setOutput(OutputForwarder* output) { output_ = output; }

  // ---- for handlers: the session's things
  const Driver& driver;
  transport::HostChannel& channel;
  link::StatisticsPage& statistics;
  const ExecutionSettings settings;
  MemoryBudget memory;
  Objects objects;
  AddressMap addresses;
  Blobs blobs;
  Workers workers;
  Completions completions;
  Staging staging;
  StreamQueues queues;

  // ---- for handlers: answers
  // The guest has broken a rule: the session ends after this record.
  void lie(const Submission& s, const char* what);
  bool lied() const { return lied_; }
  // The outcome of a Posted row: kept for the next wait, or answered in strict mode.
  void posted(Submission& s, CUresult status) {
    if (status != CUDA_SUCCESS) [[unlikely]]
      keepError(s, status);
    if (s.wantsReply || settings.strict) [[unlikely]]
      answerStrictly(s, status);
  }
  // The outcome of any other row.
  void reply(const Submission& s, CUresult status, std::span<const std::byte> payload = {});
  template <class T>
  void replyWith(const Submission& s, CUresult status, const T& value) {
    reply(s, status,
          status == CUDA_SUCCESS ? std::as_bytes(std::span(&value, 1)) : std::span<const std::byte>());
  }
  // Whatever the row: posted or reply as its mode says.
  void conclude(Submission& s, CUresult status);
  // The status of a wait that is over: its own failure, or the kept one.
  CUresult settled(ContextObject* context, CUresult status);
  // Any thread: asynchronous work of the context has failed.
  void failedAsynchronously(ContextObject* context, CUresult status);

  // ---- for handlers: handles and addresses
  template <Kind kind>
  auto* find(const Submission& s, uint64_t bits) {
    auto* object = objects.table<kind>().find(Handle(bits));
    if (!object && !Table<kind>::plausible(Handle(bits))) lie(s, "names a handle that cannot exist");
    return object;
  }
  // The stream a record names. Null: status says why, or the guest has lied.
  StreamObject* stream(Submission& s, uint64_t wire, CUresult& status) {
    if (wire <= protocol::kPerThreadStream) return defaultStream(s, wire, status);
    StreamObject* found = find<Kind::Stream>(s, wire);
    if (!found) status = CUDA_ERROR_INVALID_HANDLE;
    return found;
  }
  // A function, or a kernel used as one.
  FunctionObject* function(const Submission& s, uint64_t bits) {
    const Handle handle(bits);
    if (handle.wellFormed() && handle.kind() == Kind::Kernel) return find<Kind::Kernel>(s, bits);
    return find<Kind::Function>(s, bits);
  }
  // Whether `bits` can be given to a new object; a guest that says so of a taken one has lied.
  template <Kind kind>
  bool isFree(const Submission& s, uint64_t bits) {
    if (objects.table<kind>().isFree(Handle(bits))) return true;
    lie(s, "assigns a handle that is taken or cannot exist");
    return false;
  }
  bool covers(const Submission& s, uint64_t address, uint64_t sizeBytes) {
    return s.replayed || addresses.covers(address, sizeBytes);
  }

  // ---- for handlers: streams
  // True: give the operation to the driver now. False: it is held, and will be dispatched again.
  bool begin(StreamObject& stream, Submission& s) {
    if (s.replayed || (queues.admits(stream.queue) && stream.sinceCheckpoint < kCheckpointOperations))
        [[likely]] {
      if (!stream.busy) markBusy(stream);
      ++stream.context->epoch;
      ++stream.sinceCheckpoint;
      s.enqueued = true;
      return true;
    }
    return beginSlowly(stream, s);
  }
  // The same for an operation that must also wait for `ready`.
  bool beginWhen(StreamObject& stream, Submission& s, std::function<bool()> ready);
  // Whether begin() would say yes to an operation that arrives now.
  bool mayBegin(StreamObject& stream) { return queues.admits(stream.queue) && makeRoom(stream); }
  // Holds the record in its stream; it is dispatched again when it may start, after `starts` was called.
  void holdBack(StreamObject& stream, Submission& s, std::function<bool()> ready,
                std::function<void()> starts);
  void markBusy(StreamObject& stream);
  // Whether all work that the stream follows is over. Never says so of a capturing stream.
  bool isIdle(StreamObject& stream);
  bool isIdle(ContextObject& context);
  // A private copy of the record; its window slot is free again.
  std::shared_ptr<HeldSubmission> hold(Submission& s);
  void replay(HeldSubmission& held, bool covered);
  void endStream(Handle handle);
  void endEvent(Handle handle);
  // When all before it in the stream is done, the guest sees `sequence` in the slot.
  void markRetired(StreamObject& stream, uint32_t slot, uint64_t sequence);

  // ---- for handlers: waits
  // Answers when it is over: at once, or from another thread.
  void await(Wait wait);
  Wait waitOf(const Submission& s) const;
  // Makes the context current on the calling thread (a worker).
  void enterContext(const ContextObject* context) const;
  // Leaves work for the dispatcher, before the next record; `soon`: wakes it.
  void toDispatcher(std::function<void()> work, bool soon);
  void flushOutput();

  // ---- for handlers: contexts and host functions
  ContextObject* contextOf(uint16_t thread) const { return threads_[thread]; }
  void setContext(uint16_t thread, ContextObject* context) { threads_[thread] = context; }
  ContextObject* primary(int device) { return primaries_[device]; }
  void setPrimary(int device, ContextObject* context) { primaries_[device] = context; }
  // The driver has made another context current than the one applied.
  void contextChanged() { appliedKnown_ = false; }
  // The driver's context is gone, and all that belonged to it; its memory was released before.
  void forgetContext(ContextObject& context);
  void startHostFunction(StreamObject& stream, uint64_t token);
  // False: no such call is under way.
  bool finishHostFunction(uint64_t token);
  int activeCaptures = 0;

 private:
  struct RowEntry {
    void (*handle)(Execution&, Submission&) = nullptr;
    protocol::Mode mode = protocol::Mode::Call;
    bool waitsFirst = false;  // a Blocking row that acts when its context is idle
  };

  void take(const transport::IncomingRecord& record);
  StreamObject* defaultStream(Submission& s, uint64_t wire, CUresult& status);
  std::span<std::byte> placeFor(const transport::IncomingRecord& record) override;
  void applyContext(ContextObject* context);
  bool coverFirst(Submission& s);
  ContextObject* contextToCover(const Submission& s);
  void refuseUnknown(Submission& s);
  void keepError(const Submission& s, CUresult status);
  void answerStrictly(Submission& s, CUresult status);
  bool endsByItself(const Submission& s);
  bool beginSlowly(StreamObject& stream, Submission& s);
  bool makeRoom(StreamObject& stream);
  bool overLimit() const;
  void waitForRoom();
  bool pollWait();
  void handOver(Wait wait);
  void forgetWait(StreamObject* stream, EventObject* event);
  void finishWait(Wait& wait, CUresult status);
  CUresult pollOnce(Wait& wait);
  void endPending(StreamObject& stream);

  std::vector<RowEntry> rows_;         // by number; those that the driver lacks have no handler
  const std::byte* placed_ = nullptr;  // where the data of the next record is being received
  std::vector<ContextObject*> threads_;
  std::unordered_map<int, ContextObject*> primaries_;
  CUcontext applied_ = nullptr;
  bool appliedKnown_ = false;
  Inbox inbox_;
  std::optional<Wait> polled_;
  MonotonicTime polledSince_;
  std::unordered_map<uint64_t, StreamObject*> hostFunctions_;
  std::set<uint16_t> refused_;  // rows logged as not supported
  std::vector<std::unique_ptr<ContextObject>> deadContexts_;
  OutputForwarder* output_ = nullptr;
  std::string liedAbout_;
  bool lied_ = false;
};

}  // namespace vgpu::executor
