// Spinning before sleeping, in either process, on any thread: for about as long as waking costs on this
// machine (measured once a process), less at places where it did not pay off, and not at all while more
// threads of this process spin than can gain from it.
#pragma once

#include <sched.h>

#include <atomic>
#include <chrono>

#include "base/clock.h"
#include "transport/ring/shared_word.h"

namespace vgpu::transport {

// How long a sleeping thread takes to answer, measured at the first use (about a millisecond); and how many
// may spin.
std::chrono::nanoseconds wakeCost();
int spinnersAllowed();
// How many pauseBriefly() last about this long: processors differ by a factor of ten.
int pausesFor(std::chrono::nanoseconds duration);
extern std::atomic<int> spinnersNow;

// One a place that waits. Adapts without a lock: a lost update only changes how fast it adapts.
class SpinBudget {
 public:
  // Spins until ready() or until the budget is used up; whether it became ready.
  template <class Ready>
  bool spin(Ready&& ready) {
    for (int i = 0; i < kFreePauses; ++i) {
      if (ready()) return true;
      pauseBriefly();
    }
    if (spinnersNow.fetch_add(1, std::memory_order_relaxed) >= spinnersAllowed()) {
      spinnersNow.fetch_sub(1, std::memory_order_relaxed);
      return ready();
    }
    const bool became = spinUntil(ready, now() + budget());
    spinnersNow.fetch_sub(1, std::memory_order_relaxed);
    if (became) adapt(true);
    return became;
  }
  // After a failed spin the caller slept so long. A short sleep means that spinning a little longer would
  // have paid off: without this two sides that both fell asleep once (on a busy machine) would go on waking
  // each other for ever.
  void slept(std::chrono::nanoseconds duration) { adapt(duration < wakeCost() * 2 + kSlack); }

 private:
  // Too short to be worth counting as a spinner: the common case where the answer is nearly there.
  static constexpr int kFreePauses = 8;
  // Both sides woke each other, and each wake-up took a little longer than when it was measured.
  static constexpr std::chrono::microseconds kSlack{30};
  static constexpr int kPausesBetweenClockReads = 16;
  static constexpr int kRoundsBeforeYielding = 2;

  template <class Ready>
  static bool spinUntil(Ready& ready, MonotonicTime end) {
    for (int round = 0;; ++round) {
      for (int i = 0; i < kPausesBetweenClockReads; ++i) {
        if (ready()) return true;
        pauseBriefly();
      }
      if (now() >= end) return ready();
      // The peer may have been woken on this very processor, and cannot answer before we leave it.
      if (round >= kRoundsBeforeYielding) sched_yield();
    }
  }
  std::chrono::nanoseconds budget() const;
  void adapt(bool paidOff);

  std::atomic<int> shift_{0};  // budget is wakeCost() >> shift_
};

}  // namespace vgpu::transport
