#include "transport/ring/spin.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <thread>

#include "transport/ring/doorbell.h"

namespace vgpu::transport {

std::atomic<int> spinnersNow{0};

namespace {

constexpr int kMostShift = 4;
// A measurement can be lucky (both threads on one processor) or disturbed. Too little here, and two sides
// that fell asleep once never catch each other awake again; too much, and a busy machine spins for nothing.
constexpr auto kLeastWakeCost = std::chrono::microseconds(50);
constexpr auto kMostWakeCost = std::chrono::microseconds(100);

int processorsUsable() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set);
}

// What counts is waking somebody on another processor, as the peer will be.
void moveToAnotherProcessor(int than) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0 || CPU_COUNT(&usable) < 2 || than < 0) return;
  CPU_CLR(static_cast<size_t>(than), &usable);
  sched_setaffinity(0, sizeof usable, &usable);
}

// Wakes a sleeping thread and sleeps until it answers, a few times.
std::chrono::nanoseconds measureWakeCost() {
  constexpr int kRounds = 5;
  constexpr timespec kGap{0, 50'000};  // long enough for the answering processor to become idle
  FutexDoorbell doorbell;
  alignas(128) uint32_t ask = 1;
  alignas(128) uint32_t answer = 1;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread answerer([&, here = sched_getcpu()] {
    moveToAnotherProcessor(here);
    for (int i = 0; i < kRounds; ++i) {
      while (loadAcquire(&ask) == 1) doorbell.sleep(&ask, 1, std::chrono::nanoseconds::max());
      storeRelease(&ask, uint32_t{1});
      doorbell.wake(&answer);
    }
  });
  std::array<std::chrono::nanoseconds, kRounds> took{};
  for (auto& one : took) {
    nanosleep(&kGap, nullptr);
    const auto start = now();
    doorbell.wake(&ask);
    while (loadAcquire(&answer) == 1) doorbell.sleep(&answer, 1, std::chrono::nanoseconds::max());
    storeRelease(&answer, uint32_t{1});
    one = now() - start;
  }
  answerer.join();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::sort(took.begin(), took.end());
  return std::clamp<std::chrono::nanoseconds>(took[kRounds - 2], kLeastWakeCost, kMostWakeCost);
}

}  // namespace

std::chrono::nanoseconds wakeCost() {
  static const std::chrono::nanoseconds cost = measureWakeCost();
  return cost;
}

int spinnersAllowed() {
  // The peer needs a processor to do what we wait for.
  static const int allowed = processorsUsable() - 1;
  return allowed;
}

int pausesFor(std::chrono::nanoseconds duration) {
  static const double pauseNanoseconds = [] {
    constexpr int kPauses = 200;
    double best = 1e9;  // the least of a few: an interrupted round must not count
    for (int round = 0; round < 5; ++round) {
      const auto start = now();
      for (int i = 0; i < kPauses; ++i) pauseBriefly();
      best = std::min(best, std::chrono::duration<double, std::nano>(now() - start).count() / kPauses);
    }
    return std::max(best, 0.5);
  }();
  return std::max(1, static_cast<int>(static_cast<double>(duration.count()) / pauseNanoseconds));
}

std::chrono::nanoseconds SpinBudget::budget() const {
  return wakeCost() / (1 << shift_.load(std::memory_order_relaxed));
}

void SpinBudget::adapt(bool paidOff) {
  const int shift = shift_.load(std::memory_order_relaxed);
  if (paidOff && shift > 0) shift_.store(0, std::memory_order_relaxed);
  if (!paidOff && shift < kMostShift) shift_.store(shift + 1, std::memory_order_relaxed);
}

}  // namespace vgpu::transport
