#include "transport/ring/spin.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <thread>

#include "transport/ring/doorbell.h"

namespace vgpu::transport {

std::atomic<int> spinnersNow{0};

namespace {

constexpr int kMostShift = 4;
constexpr auto kLeastWakeCost = std::chrono::microseconds(5);
// A machine that is busy while we measure must not make us spin for ever.
constexpr auto kMostWakeCost = std::chrono::microseconds(100);

int processorsUsable() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set);
}

// Wakes a sleeping thread and sleeps until it answers, a few times.
std::chrono::nanoseconds measureWakeCost() {
  constexpr int kRounds = 7;
  FutexDoorbell doorbell;
  alignas(128) uint32_t ask = 1;
  alignas(128) uint32_t answer = 1;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread answerer([&] {
    for (int i = 0; i < kRounds; ++i) {
      while (loadAcquire(&ask) == 1) doorbell.sleep(&ask, 1, std::chrono::nanoseconds::max());
      storeRelease(&ask, uint32_t{1});
      doorbell.wake(&answer);
    }
  });
  std::array<std::chrono::nanoseconds, kRounds> took{};
  for (auto& one : took) {
    const auto start = now();
    doorbell.wake(&ask);
    while (loadAcquire(&answer) == 1) doorbell.sleep(&answer, 1, std::chrono::nanoseconds::max());
    storeRelease(&answer, uint32_t{1});
    one = now() - start;
  }
  answerer.join();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::sort(took.begin(), took.end());
  return std::clamp<std::chrono::nanoseconds>(took[kRounds / 2], kLeastWakeCost, kMostWakeCost);
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
