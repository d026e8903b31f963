#include "cpu_driver/runtime/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <thread>

#include "cpu_driver/kernel/fault.h"
#include "cpu_driver/runtime/launch_job.h"

namespace vgpu::cpu {
namespace {

// About what a sleeping thread takes to wake.
constexpr int kIdleSpins = 1000;
// Long enough to keep a stream's working set in cache, short enough for others not to notice.
constexpr auto kTurn = std::chrono::milliseconds(1);

}  // namespace

Execution::~Execution() { releaseSlot(); }

kernel::Runner* Execution::slot() {
  if (!slot_) slot_ = pool_.acquireSlot();
  return slot_;
}

void Execution::releaseSlot() {
  if (slot_) pool_.releaseSlot(slot_);
  slot_ = nullptr;
}

WorkerPool::WorkerPool(unsigned slots) : slots_(slots) {}

void WorkerPool::startThreads() {
  if (started_) return;
  started_ = true;
  for (unsigned i = 0; i <= slots_; ++i) startThread();
}

void WorkerPool::startThread() {
  std::thread thread([this] { work(); });
  ::pthread_setname_np(thread.native_handle(), "vgpu-worker");
  thread.detach();
}

void WorkerPool::push(std::shared_ptr<Stream> stream) {
  const auto level = static_cast<size_t>(std::clamp(stream->priority(), kGreatestPriority, kLeastPriority) -
                                         kGreatestPriority);
  ready_[level].push_back(std::move(stream));
  readyCount_.fetch_add(1, std::memory_order_relaxed);
}

// Under the lock. Whether a sleeper must be woken for what was just added: a thread that spins takes the
// first by itself.
bool WorkerPool::needsWake() {
  signals_.fetch_add(1, std::memory_order_release);
  if (spinning_ && !spinnerCalled_) {
    spinnerCalled_ = true;
    return false;
  }
  return sleepers_.load(std::memory_order_relaxed) != 0;
}

void WorkerPool::ready(std::shared_ptr<Stream> stream) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    startThreads();
    push(std::move(stream));
    wake = needsWake();
  }
  if (wake) wake_.notify_one();
}

void WorkerPool::readyForSlot(std::shared_ptr<Stream> stream) {
  std::lock_guard lock(mutex_);
  // A slot may have come free since the caller asked for one.
  if (slotFree()) {
    push(std::move(stream));
    if (needsWake()) wake_.notify_one();
    return;
  }
  awaitingSlot_.push_back(std::move(stream));
}

void WorkerPool::publish(std::shared_ptr<LaunchJob> job) {
  size_t wakes = 0;
  {
    std::lock_guard lock(mutex_);
    startThreads();
    const size_t helpers = ownSlotFree() ? std::min<size_t>(slots_ - slotsTaken_, job->wantedHelpers()) : 0;
    jobs_.push_back(std::move(job));
    for (size_t i = 0; i < helpers; ++i) wakes += needsWake() ? 1 : 0;
  }
  for (size_t i = 0; i < wakes; ++i) wake_.notify_one();
}

void WorkerPool::withdraw(const LaunchJob* job) {
  std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [&](const auto& other) { return other.get() == job; });
}

kernel::Runner* WorkerPool::acquireSlot() {
  std::lock_guard lock(mutex_);
  return slotFree() ? takeSlot() : nullptr;
}

// Under the lock, when a slot is free.
kernel::Runner* WorkerPool::takeSlot() {
  ++slotsTaken_;
  if (freeRunners_.empty()) {
    const auto number = static_cast<unsigned>(runners_.size());
    runners_.push_back(std::make_unique<kernel::Runner>(number % slots_));
    // Whoever runs on a lent slot is missing elsewhere.
    if (number >= slots_) startThread();
    return runners_.back().get();
  }
  kernel::Runner* runner = freeRunners_.back();
  freeRunners_.pop_back();
  return runner;
}

// Under the lock, when there may be a slot more. Whether a stream can use it: one that awaited a slot, or one
// that a thread has still to look at after an earlier slot came free.
bool WorkerPool::pushThoseAwaitingSlot() {
  if (!slotFree()) return false;
  for (auto& stream : awaitingSlot_) push(std::move(stream));
  awaitingSlot_.clear();
  return hasReady();
}

void WorkerPool::lendSlot() {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    ++slotsLent_;
    wake = pushThoseAwaitingSlot() && needsWake();
  }
  if (wake) wake_.notify_one();
}

void WorkerPool::endLoan() {
  std::lock_guard lock(mutex_);
  --slotsLent_;
}

void WorkerPool::releaseSlot(kernel::Runner* slot) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    --slotsTaken_;
    freeRunners_.push_back(slot);
    const bool streams = pushThoseAwaitingSlot();
    const bool jobs = ownSlotFree() && !jobs_.empty();
    wake = (streams || jobs) && needsWake();
  }
  if (wake) wake_.notify_one();
}

bool WorkerPool::hasReady() const { return readyCount_.load(std::memory_order_relaxed) != 0; }

bool WorkerPool::shouldYield(Execution& execution) const {
  if (readyCount_.load(std::memory_order_relaxed) == 0 || sleepers_.load(std::memory_order_relaxed) != 0)
    return false;
  return now() - execution.started() > kTurn;
}

std::shared_ptr<Stream> WorkerPool::popReady() {
  for (auto& level : ready_) {
    if (level.empty()) continue;
    auto stream = std::move(level.front());
    level.pop_front();
    readyCount_.fetch_sub(1, std::memory_order_relaxed);
    return stream;
  }
  return nullptr;
}

std::shared_ptr<LaunchJob> WorkerPool::joinableJob() {
  // A lent slot is for other launches: more blocks of one that waits would only wait too.
  if (!ownSlotFree()) return nullptr;
  for (const auto& job : jobs_) {
    if (job->join()) return job;
  }
  return nullptr;
}

bool WorkerPool::runSomething(std::unique_lock<std::mutex>& lock) {
  if (auto job = joinableJob()) {
    kernel::Runner* slot = takeSlot();
    lock.unlock();
    {
      Execution execution(*this, slot);
      job->runAsHelper(execution);
    }
    lock.lock();
    return true;
  }
  auto stream = popReady();
  if (!stream) return false;
  lock.unlock();
  if (stream->claim()) {
    Execution execution(*this);
    execution.setPatient();
    stream->drain(execution);
  }
  stream.reset();
  lock.lock();
  return true;
}

// Called when nothing was runnable, the lock held since.
void WorkerPool::idle(std::unique_lock<std::mutex>& lock) {
  const uint64_t seen = signals_.load(std::memory_order_relaxed);
  if (!spinning_) {
    spinning_ = true;
    spinnerCalled_ = false;
    lock.unlock();
    for (int i = 0; i < kIdleSpins && signals_.load(std::memory_order_acquire) == seen; ++i) spinOnce();
    lock.lock();
    spinning_ = false;
  }
  if (signals_.load(std::memory_order_relaxed) != seen) return;
  sleepers_.fetch_add(1, std::memory_order_relaxed);
  wake_.wait(lock);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void WorkerPool::work() {
  kernel::ensureSignalStack();
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!runSomething(lock)) idle(lock);
  }
}

}  // namespace vgpu::cpu
