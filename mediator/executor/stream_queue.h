// StreamQueues: what stands between decoding and the driver. Every operation of a stream passes the one
// admission point; usually it goes straight on to the driver. What may not start yet is held in its stream's
// queue, in order, while other streams go on; CUDA's order between streams holds for what is held as well
// (legacy stream against blocking ones, and whatever `ready` of an operation asks for). Dispatcher thread
// only. Held operations own private copies of what the guest sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <vector>

namespace vgpu::executor {

struct StreamQueue;

// The admission point. Quota and fair share put their policy here; it may say no for one stream and yes for
// others, and whoever makes it change its mind calls Execution::wake() so that held operations are looked at
// again.
class Admission {
 public:
  virtual ~Admission() = default;
  virtual bool mayStart(const StreamQueue& stream) = 0;
};

class OpenAdmission final : public Admission {
 public:
  bool mayStart(const StreamQueue&) override { return true; }
};

struct HeldOperation {
  std::function<void()> start;  // gives it to the driver
  std::function<bool()> ready;  // asked beside admission; empty: always
  bool marker = false;     // only notes that all before it has started: takes no part in admission and order
  bool untilDone = false;  // what follows waits until finish(), not only until it has started
  size_t sizeBytes = 0;
  uint64_t ticket = 0;  // order among all held operations of the session
};

// Streams of one context, ordered against its legacy stream.
struct StreamGroup {
  StreamQueue* legacy = nullptr;
};

struct StreamQueue {
  StreamGroup* group = nullptr;
  bool isLegacy = false;
  bool isBlocking = true;  // ordered against the legacy stream
  uint64_t id = 0;         // the guest's value for the stream
  bool headRuns = false;   // the first operation has started and is untilDone
  std::list<HeldOperation> held;
};

class StreamQueues {
 public:
  explicit StreamQueues(Admission& admission) : admission_(admission) {}

  // Whether an operation that arrives now may go straight to the driver.
  bool admits(StreamQueue& queue) {
    if (waiting_.empty()) [[likely]]
      return admission_.mayStart(queue);
    return queue.held.empty() && !mustFollow(queue, nextTicket_) && admission_.mayStart(queue);
  }
  void hold(StreamQueue& queue, HeldOperation operation);
  // The running head of the queue is over.
  void finish(StreamQueue& queue);
  // Starts whatever may start now.
  void pump();

  bool anyHeld() const { return !waiting_.empty(); }
  // Calls `then` when everything that is held now, in the queues that `covers` accepts, has started; at once
  // when nothing is.
  void afterHeld(const std::function<bool(const StreamQueue&)>& covers, std::function<void()> then);
  // The stream is going away and holds nothing.
  void forget(StreamQueue& queue);

  size_t heldOperations() const { return heldOperations_; }
  size_t heldBytes() const { return heldBytes_; }

 private:
  bool mustFollow(const StreamQueue& queue, uint64_t ticket) const;
  bool mayStart(StreamQueue& queue, const HeldOperation& operation);
  bool startHead(StreamQueue& queue);

  Admission& admission_;
  std::vector<StreamQueue*> waiting_;  // queues that hold something
  uint64_t nextTicket_ = 1;
  size_t heldOperations_ = 0;
  size_t heldBytes_ = 0;
  bool pumping_ = false;
  bool pumpAgain_ = false;
};

}  // namespace vgpu::executor
