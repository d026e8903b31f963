#include "mediator/executor/stream_queue.h"

#include <algorithm>
#include <memory>

#include "base/check.h"

namespace vgpu::executor {

void StreamQueues::hold(StreamQueue& queue, HeldOperation operation) {
  operation.ticket = nextTicket_++;
  ++heldOperations_;
  heldBytes_ += operation.sizeBytes;
  if (queue.held.empty()) waiting_.push_back(&queue);
  queue.held.push_back(std::move(operation));
}

// The legacy stream follows what blocking streams of its context hold from before, and they what it holds.
bool StreamQueues::mustFollow(const StreamQueue& queue, uint64_t ticket) const {
  if (!queue.isBlocking || !queue.group) return false;
  if (!queue.isLegacy) {
    const StreamQueue* legacy = queue.group->legacy;
    return legacy && !legacy->held.empty() && legacy->held.front().ticket < ticket;
  }
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const StreamQueue* other) {
    return other != &queue && other->group == queue.group && other->isBlocking && !other->held.empty() &&
           other->held.front().ticket < ticket;
  });
}

bool StreamQueues::mayStart(StreamQueue& queue, const HeldOperation& operation) {
  if (operation.marker) return !operation.ready || operation.ready();
  return !mustFollow(queue, operation.ticket) && (!operation.ready || operation.ready()) &&
         admission_.mayStart(queue);
}

bool StreamQueues::startHead(StreamQueue& queue) {
  if (queue.held.empty() || queue.headRuns || !mayStart(queue, queue.held.front())) return false;
  HeldOperation& head = queue.held.front();
  if (head.untilDone) {
    queue.headRuns = true;
    auto start = std::move(head.start);
    start();
    return true;
  }
  HeldOperation operation = std::move(head);
  queue.held.pop_front();
  --heldOperations_;
  heldBytes_ -= operation.sizeBytes;
  if (queue.held.empty()) std::erase(waiting_, &queue);
  operation.start();
  return true;
}

void StreamQueues::pump() {
  pumpAgain_ = true;
  if (pumping_) return;  // from within a start: the loop below goes round once more
  pumping_ = true;
  while (pumpAgain_) {
    pumpAgain_ = false;
    for (size_t i = 0; i < waiting_.size(); ++i) {
      StreamQueue* queue = waiting_[i];
      while (startHead(*queue)) {
        pumpAgain_ = true;
        // What started may have changed the list, or ended this very stream.
        if (i >= waiting_.size() || waiting_[i] != queue) break;
      }
    }
  }
  pumping_ = false;
}

void StreamQueues::finish(StreamQueue& queue) {
  CHECK(queue.headRuns && !queue.held.empty());
  queue.headRuns = false;
  --heldOperations_;
  heldBytes_ -= queue.held.front().sizeBytes;
  queue.held.pop_front();
  if (queue.held.empty()) std::erase(waiting_, &queue);
  pump();
}

void StreamQueues::afterHeld(const std::function<bool(const StreamQueue&)>& covers,
                             std::function<void()> then) {
  struct Join {
    size_t missing = 0;
    std::function<void()> then;
  };
  auto join = std::make_shared<Join>();
  const std::vector<StreamQueue*> waiting = waiting_;
  for (StreamQueue* queue : waiting) {
    if (!covers(*queue)) continue;
    ++join->missing;
    HeldOperation marker;
    marker.marker = true;
    marker.start = [join] {
      if (--join->missing == 0) join->then();
    };
    hold(*queue, std::move(marker));
  }
  if (join->missing == 0) return then();
  join->then = std::move(then);
}

void StreamQueues::forget(StreamQueue& queue) {
  for (const HeldOperation& operation : queue.held) {
    --heldOperations_;
    heldBytes_ -= operation.sizeBytes;
  }
  queue.held.clear();
  std::erase(waiting_, &queue);
}

}  // namespace vgpu::executor
