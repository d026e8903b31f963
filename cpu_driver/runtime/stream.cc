#include "cpu_driver/runtime/stream.h"

#include <algorithm>

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/worker_pool.h"

namespace vgpu::cpu {
namespace {

// About two microseconds.
constexpr int kPatience = 60;

uint64_t nextStreamId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

Stream::Stream(Context& context, StreamKind kind, unsigned flags, int priority)
    : context_(context), kind_(kind), flags_(flags), priority_(priority), id_(nextStreamId()) {}

// Programming guide, "Default Stream": work of the legacy stream waits for all blocking streams, and they for
// it. The other side's position is read before our own number is published, so two threads cannot make a
// circle.
void Stream::orderAgainstOthers() {
  if (!blocking()) return;
  if (kind_ != StreamKind::Legacy) {
    Stream& legacy = context_.legacyStream();
    const uint64_t submitted = legacy.submitted();
    if (submitted == orderedAfterLegacy_) return;
    orderedAfterLegacy_ = submitted;
    orderAfter(legacy);
    return;
  }
  context_.forEachBlockingStream([this](Stream& other) { orderAfter(other); });
}

// Whether work that were submitted now would wait for no other stream.
bool Stream::followsNothing() const {
  if (!blocking()) return true;
  return kind_ == StreamKind::Legacy ? context_.blockingStreamsIdle() : context_.legacyStream().isIdle();
}

void Stream::handToPool() {
  state_.store(State::Ready, std::memory_order_seq_cst);
  context_.pool().ready(shared_from_this());
}

void Stream::orderAfter(Stream& other) {
  const uint64_t sequence = other.submitted();
  if (other.isRetired(sequence)) return;
  queue_.emplace<WaitWork>(other.shared_from_this(), sequence);
  publish();
}

void Stream::start() {
  if (state_.load(std::memory_order_seq_cst) != State::Idle || !change(State::Idle, State::Ready)) return;
  context_.pool().ready(shared_from_this());
}

void Stream::startHere() {
  if (state_.load(std::memory_order_seq_cst) != State::Idle || !change(State::Idle, State::Running)) return;
  // Another thread may have submitted heavy work since; only what is there now and needs no slot is ours to
  // run.
  Execution execution(context_.pool());
  drain(execution, submitted());
}

void Stream::resume() {
  if (change(State::Blocked, State::Ready)) context_.pool().ready(shared_from_this());
}

void Stream::resumeHere(Execution& execution) {
  if (change(State::Blocked, State::Running)) drain(execution);
}

bool Stream::claim() { return change(State::Ready, State::Running); }

// Launches come in series: to look for the next a little longer than one takes to submit costs less than to
// give the stream up, and to have the pool woken for it again.
bool Stream::moreComes(Execution& execution, uint64_t retired) const {
  if (!execution.patient()) return false;
  for (int i = 0; i < kPatience && !execution.pool().hasReady(); ++i) {
    if (submitted_.load(std::memory_order_relaxed) != retired) return true;
    spinOnce();
  }
  return false;
}

void Stream::drain(Execution& execution, uint64_t until) {
  // Kept alive by us: the last item's retirement may free the last other reference.
  const std::shared_ptr<Stream> self = shared_from_this();
  for (;;) {
    const uint64_t retired = retired_.load(std::memory_order_relaxed);
    if (retired == submitted()) {
      if (moreComes(execution, retired)) continue;
      if (becomeIdle()) return;
      continue;
    }
    if (retired >= until || execution.pool().shouldYield(execution)) return handToPool();
    Work& work = queue_.front();
    if (work.needsSlot() && !execution.slot()) {
      state_.store(State::Ready, std::memory_order_seq_cst);
      execution.pool().readyForSlot(self);
      return;
    }
    if (runOne(execution, work) == Step::Blocked) return;
    queue_.pop();
    retire();
  }
}

Step Stream::runOne(Execution& execution, Work& work) {
  return context_.hasFailed() ? work.abandon(execution, *this) : work.run(execution, *this);
}

void Stream::retire() {
  retired_.store(retired_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
  waitPoint_.notify();
  if (hasDependents_.load(std::memory_order_seq_cst)) resumeDependents();
}

void Stream::resumeDependents() {
  std::vector<std::shared_ptr<Stream>> due;
  {
    std::lock_guard lock(dependentsMutex_);
    const auto later = std::partition(dependents_.begin(), dependents_.end(),
                                      [this](const Dependent& d) { return !isRetired(d.sequence); });
    for (auto it = later; it != dependents_.end(); ++it) due.push_back(std::move(it->stream));
    dependents_.erase(later, dependents_.end());
    hasDependents_.store(!dependents_.empty(), std::memory_order_seq_cst);
  }
  for (const auto& stream : due) stream->resume();
}

bool Stream::resumeAfter(uint64_t sequence, std::shared_ptr<Stream> dependent) {
  std::lock_guard lock(dependentsMutex_);
  hasDependents_.store(true, std::memory_order_seq_cst);
  if (retired() >= sequence) return false;
  dependents_.push_back({sequence, std::move(dependent)});
  return true;
}

void Stream::wait(uint64_t sequence) {
  const auto over = [&] { return retired() >= sequence; };
  while (!over()) {
    if (state_.load(std::memory_order_relaxed) == State::Ready && claim()) {
      Execution execution(context_.pool());
      drain(execution, sequence);
      // Without a free slot the stream is the pool's again, and helping would only turn in a circle.
    }
    waitPoint_.wait(over);
  }
}

Step WaitWork::run(Execution&, Stream& stream) {
  if (other_->isRetired(sequence_)) return Step::Done;
  const std::shared_ptr<Stream> other = other_;
  stream.handOn();
  if (other->resumeAfter(sequence_, stream.shared_from_this())) return Step::Blocked;
  stream.takeBack();
  return Step::Done;
}

}  // namespace vgpu::cpu
