#include "mediator/executor/execution.h"

#include <thread>

#include "base/log.h"
#include "mediator/executor/handlers.h"
#include "mediator/executor/output.h"
#include "protocol/calls/names.h"

namespace vgpu::executor {

using protocol::Mode;
using transport::Next;

namespace {

// Work that may wait for what the program does after it: to wait for its end would be to wait for ever.
bool waitsForMemory(uint16_t number) {
  namespace call = protocol::call;
  return number == call::cuStreamWaitValue32_v2 || number == call::cuStreamWaitValue64_v2;
}

bool answersThroughSlot(uint16_t number) {
  namespace call = protocol::call;
  return number == call::CopyDownload || number == call::CopyBoxDownload || number == call::ReadHost;
}

}  // namespace

Execution::Execution(const Driver& driverTable, transport::HostChannel& hostChannel,
                     link::StatisticsPage& page, Admission& admission,
                     const ExecutionSettings& executionSettings)
    : driver(driverTable),
      channel(hostChannel),
      statistics(page),
      settings(executionSettings),
      memory(page, executionSettings.memoryBytes, executionSettings.vgpu),
      workers(hostChannel.limits().threads + 8),
      completions(driverTable, *this),
      staging(driverTable, executionSettings.spillBytes),
      queues(admission),
      rows_(protocol::kMaxCalls * 4),
      threads_(hostChannel.limits().threads) {
  const BoundRows bound = boundRows(driver);
  for (const protocol::RowInfo& row : protocol::kRows) {
    if (!bound[row.number]) continue;
    rows_[row.number] = {dispatchOf(row.number), row.mode,
                         row.mode == Mode::Blocking && !isPlainWait(row.number)};
  }
  if (driver.vgpuCpuDriverHostAddress) channel.setUploadPlaces(this);
}

// Whoever may still call back must have done so before the members go.
Execution::~Execution() {
  completions.finish();
  workers.finish();
}

// ---- the dispatcher's loop

Execution::End Execution::run() {
  auto record = std::make_unique<transport::IncomingRecord>();
  for (;;) {
    settleInbox();
    if (lied_) return End::Violation;
    const bool polling = polled_ && !pollWait();
    if (overLimit()) {
      waitForRoom();
      continue;
    }
    switch (channel.next(*record, polling ? std::chrono::nanoseconds(0) : std::chrono::nanoseconds::max())) {
      case Next::Record:
        if (polled_) [[unlikely]]
          handOver(*std::exchange(polled_, std::nullopt));
        take(*record);
        break;
      case Next::TimedOut:
      case Next::Interrupted:
        break;
      case Next::Lost:
        return End::Lost;
      case Next::Violation:
        log::error("session ended: the guest broke the protocol", {{"reason", channel.violation()}});
        link::addOwned(statistics.rejectedRecords);
        return End::Violation;
    }
  }
}

void Execution::take(const transport::IncomingRecord& record) {
  if (inbox_.pending()) [[unlikely]]
    settleInbox();
  Submission s = Submission::of(record);
  s.inPlace = placed_ && s.data.data() == placed_;
  placed_ = nullptr;
  link::addOwned(statistics.bytesFromGuest, s.arguments.size() + s.data.size());
  dispatch(s);
  if (s.slot != transport::kNoSlot && !s.slotTaken) channel.releaseSlot(s.slot);
}

// An upload that would go to the driver at once is received where it belongs instead.
std::span<std::byte> Execution::placeFor(const transport::IncomingRecord& record) {
  Submission s = Submission::of(record);
  s.number = static_cast<uint16_t>(s.number & ~protocol::kWantsReply);
  if (s.number != protocol::call::CopyUpload || s.thread >= threads_.size() || lied_) return {};
  s.context = threads_[s.thread];
  applyContext(s.context);
  const std::span<std::byte> place = uploadDestination(*this, s);
  placed_ = place.data();
  return place;
}

bool Execution::dispatch(Submission& s) {
  if (s.number & protocol::kWantsReply) {
    s.number = static_cast<uint16_t>(s.number & ~protocol::kWantsReply);
    s.wantsReply = true;
  }
  if (s.thread >= threads_.size()) {
    lie(s, "comes from a thread that cannot exist");
    return false;
  }
  if (s.number >= rows_.size() || !rows_[s.number].handle) [[unlikely]] {
    refuseUnknown(s);
    return true;
  }
  const RowEntry& row = rows_[s.number];
  if (row.mode != Mode::Posted) s.wantsReply = false;
  if (!s.replayed) [[likely]] {
    s.context = threads_[s.thread];
    statistics.countCall(s.number, false);
  }
  if (row.waitsFirst && !s.covered && !coverFirst(s)) return true;
  applyContext(s.context);
  if (row.mode == Mode::Call) {
    const MonotonicTime start = now();
    row.handle(*this, s);
    statistics.timeCall(link::CallClass::Call, now() - start);
  } else {
    row.handle(*this, s);
  }
  return !lied_;
}

void Execution::refuseUnknown(Submission& s) {
  link::addOwned(statistics.unknownCalls);
  if (refused_.size() < 256 && refused_.insert(s.number).second) {
    const auto name = protocol::callName(s.number);
    log::warning("call not supported by this executor's driver",
                 {{"number", s.number}, {"call", name.empty() ? "unknown" : name}});
  }
  const size_t index = protocol::callIndex(s.number);
  const bool postedRow = index < protocol::kRowCount && protocol::kRows[index].mode == Mode::Posted;
  if (!s.replayed) s.context = threads_[s.thread];
  if (!postedRow) return reply(s, CUDA_ERROR_NOT_SUPPORTED);
  if (s.wantsReply) return reply(s, CUDA_ERROR_NOT_SUPPORTED);
  keepError(s, CUDA_ERROR_NOT_SUPPORTED);
}

void Execution::applyContext(ContextObject* context) {
  CUcontext wanted = context ? context->driver : nullptr;
  if (appliedKnown_ && wanted == applied_) [[likely]]
    return;
  appliedKnown_ = driver.cuCtxSetCurrent(wanted) == CUDA_SUCCESS;
  applied_ = wanted;
}

void Execution::settleInbox() {
  if (inbox_.pending()) inbox_.drain();
  if (queues.anyHeld()) queues.pump();
}

void Execution::toDispatcher(std::function<void()> work, bool soon) {
  inbox_.put(std::move(work));
  if (soon) channel.interrupt();
}

void Execution::wake() {
  toDispatcher([this] { queues.pump(); }, true);
}

bool Execution::overLimit() const {
  // While a host function runs in the guest its end comes by the ring, which therefore must go on being read.
  const bool tooMuch =
      queues.heldOperations() > settings.heldOperations || queues.heldBytes() > settings.spillBytes;
  return tooMuch && hostFunctions_.empty();
}

void Execution::waitForRoom() {
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  settleInbox();
}

// ---- answers

void Execution::lie(const Submission& s, const char* what) {
  if (lied_) return;
  lied_ = true;
  link::addOwned(statistics.rejectedRecords);
  const auto name = protocol::callName(s.number);
  log::error("session ended: a record of the guest breaks the protocol",
             {{"call", name.empty() ? "unknown" : name}, {"record", s.sequence}, {"reason", what}});
  channel.close();
}

void Execution::reply(const Submission& s, CUresult status, std::span<const std::byte> payload) {
  if (status != CUDA_SUCCESS) statistics.countError(s.number);
  link::addOwned(statistics.bytesToGuest, payload.size());
  if (answersThroughSlot(s.number) && s.to.slot != transport::kNoSlot) {
    return channel.completeDownload(s.to, status, static_cast<uint32_t>(payload.size()));
  }
  channel.reply(s.to, status, payload);
}

void Execution::conclude(Submission& s, CUresult status) {
  const size_t index = protocol::callIndex(s.number);
  if (index < protocol::kRowCount && protocol::kRows[index].mode == Mode::Posted) return posted(s, status);
  reply(s, status);
}

void Execution::keepError(const Submission& s, CUresult status) {
  statistics.countError(s.number);
  if (s.wantsReply) return;  // answered at once
  statistics.asyncErrors.fetch_add(1, std::memory_order_relaxed);
  if (!s.context) return;
  int none = CUDA_SUCCESS;
  s.context->keptError.compare_exchange_strong(none, status);
}

void Execution::failedAsynchronously(ContextObject* context, CUresult status) {
  if (!context) return;
  int none = CUDA_SUCCESS;
  if (!context->keptError.compare_exchange_strong(none, status)) return;
  statistics.asyncErrors.fetch_add(1, std::memory_order_relaxed);
  const protocol::events::ContextFailed failed{context->handle.bits(), status, 0};
  channel.postEvent(static_cast<uint16_t>(protocol::events::EventKind::ContextFailed),
                    std::as_bytes(std::span(&failed, 1)));
}

CUresult Execution::settled(ContextObject* context, CUresult status) {
  if (!context) return status;
  if (context->keptError.load(std::memory_order_relaxed) == CUDA_SUCCESS) [[likely]]
    return status;
  const auto kept = static_cast<CUresult>(context->keptError.exchange(CUDA_SUCCESS));
  return status != CUDA_SUCCESS ? status : kept;
}

// Whether the context's work is over one day whatever the program does next.
bool Execution::endsByItself(const Submission& s) {
  bool& waiting = s.context->waitsForMemory;
  waiting = waitsForMemory(s.number) || (waiting && !isIdle(*s.context));
  return !waiting;
}

void Execution::answerStrictly(Submission& s, CUresult status) {
  const bool waits = status == CUDA_SUCCESS && s.enqueued && s.context && s.context->driver &&
                     activeCaptures == 0 && !queues.anyHeld() && endsByItself(s);
  if (s.wantsReply && waits) return await(waitOf(s));
  const bool goesOn = status == CUDA_SUCCESS && s.enqueued;
  if (s.wantsReply) return reply(s, status, std::as_bytes(std::span(&s.sequence, goesOn ? 1 : 0)));
  // The mediator's wish, not the guest's: nobody waits for an answer, so the outcome is kept.
  if (!waits) return;
  if (const CUresult outcome = driver.cuCtxSynchronize(); outcome != CUDA_SUCCESS) keepError(s, outcome);
}

// ---- handles

void Execution::forgetContext(ContextObject& context) {
  std::erase_if(hostFunctions_, [&](const auto& entry) { return entry.second->context == &context; });
  queues.forget(context.legacy.queue);
  for (auto& stream : context.perThread) {
    if (stream) queues.forget(stream->queue);
  }
  context.busy.clear();
  context.perThread.clear();
  const auto belongs = [&](const auto& object) { return object.context == &context; };
  objects.streams.removeIf([&](StreamObject& stream) {
    if (!belongs(stream)) return false;
    queues.forget(stream.queue);
    return true;
  });
  objects.events.removeIf(belongs);
  objects.arrays.removeIf(belongs);
  objects.mipmappedArrays.removeIf(belongs);
  objects.links.removeIf(belongs);
  objects.modules.removeIf([&](ModuleObject& module) {
    if (!belongs(module)) return false;
    objects.functions.removeIf([&](const FunctionObject& function) { return function.owner == &module; });
    return true;
  });
  context.keptError.store(CUDA_SUCCESS);
  context.legacy.busy = false;
  context.driver = nullptr;
  appliedKnown_ = false;
  if (context.primary) return;
  if (auto owned = objects.contexts.remove(context.handle)) deadContexts_.push_back(std::move(owned));
}

void Execution::flushOutput() {
  if (output_) output_->flush();
}

}  // namespace vgpu::executor
