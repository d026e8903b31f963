// A stream: work in order, each item with a sequence number; `retired` counts those that are over.
// Any thread submits; one thread at a time drains it (a worker of the pool, or a thread that waits for it and
// helps). A drained item may hand the stream on (Blocked) until an event, a launch, a compilation or a host
// function resumes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu_driver/runtime/wait_point.h"
#include "cpu_driver/runtime/work_queue.h"

namespace vgpu::cpu {

class Context;

enum class StreamKind { Legacy, PerThread, Created };

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Context& context, StreamKind kind, unsigned flags, int priority);

  Context& context() const { return context_; }
  StreamKind kind() const { return kind_; }
  unsigned flags() const { return flags_; }
  int priority() const { return priority_; }
  uint64_t id() const { return id_; }
  // Ordered against the legacy stream.
  bool blocking() const { return kind_ == StreamKind::Legacy || !(flags_ & CU_STREAM_NON_BLOCKING); }

  // Appends work and sees to it that somebody runs it; the sequence number to wait for.
  template <class W, class... Arguments>
  uint64_t enqueue(Arguments&&... arguments) {
    std::unique_lock lock(submitMutex_);
    orderAgainstOthers();
    queue_.emplace<W>(std::forward<Arguments>(arguments)...);
    const uint64_t sequence = publish();
    lock.unlock();
    start();
    return sequence;
  }

  // The same for work that costs less than waking a worker: an idle stream runs it at once, on this thread.
  template <class W, class... Arguments>
  uint64_t enqueueLight(Arguments&&... arguments) {
    std::unique_lock lock(submitMutex_);
    orderAgainstOthers();
    queue_.emplace<W>(std::forward<Arguments>(arguments)...);
    const uint64_t sequence = publish();
    lock.unlock();
    startHere();
    return sequence;
  }

  // Runs `body` on this thread as an item that is over when this returns, if nothing comes before it and
  // nobody is at the stream. False: it was not run.
  template <class Body>
  bool runAtOnce(Body&& body) {
    if (!isIdle() || !followsNothing() || !change(State::Idle, State::Running)) return false;
    // Another thread may have submitted meanwhile, and found us at it.
    const bool first = isIdle();
    if (first) body();
    leave();
    return first;
  }

  uint64_t submitted() const { return submitted_.load(std::memory_order_seq_cst); }
  uint64_t retired() const { return retired_.load(std::memory_order_seq_cst); }
  bool isRetired(uint64_t sequence) const { return retired_.load(std::memory_order_acquire) >= sequence; }
  bool isIdle() const { return isRetired(submitted()); }
  // Returns when the item is over; helps to run the stream meanwhile.
  void wait(uint64_t sequence);
  void waitAll() { wait(submitted()); }

  // Called by work while it runs.
  void handOn() { state_.store(State::Blocked, std::memory_order_seq_cst); }  // before it can be resumed
  void takeBack() {
    state_.store(State::Running, std::memory_order_seq_cst);
  }  // it turned out not to have to wait
  // Resumes `dependent` when the item is over. False where it is over already (the dependent was not kept).
  bool resumeAfter(uint64_t sequence, std::shared_ptr<Stream> dependent);

  // A Blocked stream goes on: on a thread of the pool, or (resumeHere) on this one.
  void resume();
  void resumeHere(Execution& execution);
  // For the pool: takes a Ready stream, then runs it.
  bool claim();
  void drain(Execution& execution, uint64_t until = UINT64_MAX);

 private:
  enum class State : uint32_t { Idle, Ready, Running, Blocked };
  struct Dependent {
    uint64_t sequence;
    std::shared_ptr<Stream> stream;
  };

  void orderAgainstOthers();
  bool followsNothing() const;
  // Gives up a stream that was Running; what came meanwhile is the pool's.
  void leave() {
    if (!becomeIdle()) handToPool();
  }
  void handToPool();
  void orderAfter(Stream& other);
  uint64_t publish() {
    const uint64_t sequence = submitted_.load(std::memory_order_relaxed) + 1;
    submitted_.store(sequence, std::memory_order_seq_cst);
    return sequence;
  }
  void start();
  void startHere();
  bool change(State from, State to) { return state_.compare_exchange_strong(from, to); }
  // The producer publishes and then looks at the state; we set the state and then look at what is published.
  bool becomeIdle() {
    const uint64_t consumed = retired_.load(std::memory_order_relaxed);
    state_.store(State::Idle, std::memory_order_seq_cst);
    return submitted() == consumed || !change(State::Idle, State::Running);
  }
  bool moreComes(Execution& execution, uint64_t retired) const;
  Step runOne(Execution& execution, Work& work);
  void retire();
  void resumeDependents();

  Context& context_;
  const StreamKind kind_;
  const unsigned flags_;
  const int priority_;
  const uint64_t id_;

  std::mutex submitMutex_;
  uint64_t orderedAfterLegacy_ = 0;  // the legacy stream's item that our queue waits for already
  WorkQueue queue_;
  alignas(64) std::atomic<uint64_t> submitted_{0};
  alignas(64) std::atomic<uint64_t> retired_{0};
  std::atomic<State> state_{State::Idle};
  std::atomic<bool> hasDependents_{false};
  WaitPoint waitPoint_;
  std::mutex dependentsMutex_;
  std::vector<Dependent> dependents_;
};

// Holds a stream until an item of another is over.
class WaitWork final : public Work {
 public:
  WaitWork(std::shared_ptr<Stream> other, uint64_t sequence)
      : other_(std::move(other)), sequence_(sequence) {}
  Step run(Execution& execution, Stream& stream) override;
  Step abandon(Execution& execution, Stream& stream) override { return run(execution, stream); }

 private:
  std::shared_ptr<Stream> other_;
  uint64_t sequence_;
};

}  // namespace vgpu::cpu
