#include "tests/bench/floors.h"

#include <immintrin.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <thread>

namespace vgpu::bench {

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double threadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Line {
  alignas(128) std::atomic<uint64_t> value{0};
};

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

struct Record {
  alignas(128) std::atomic<uint64_t> sequence{0};
  uint64_t payload[7] = {};
};

// Runs `turn(i)` in batches and returns the median time of one turn.
template <class Turn>
double medianTurn(int batches, int turns, Turn&& turn) {
  std::vector<double> times;
  for (int b = 0; b < batches; ++b) {
    const auto start = Clock::now();
    for (int i = 0; i < turns; ++i) turn();
    times.push_back(secondsSince(start) / turns);
  }
  return median(times);
}

}  // namespace

double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

double percentile(std::vector<double> values, double fraction) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(fraction * static_cast<double>(values.size())))];
}

double pingPong() {
  auto there = std::make_unique<Line>();
  auto back = std::make_unique<Line>();
  std::atomic<bool> stop{false};
  std::thread answering([&] {
    for (uint64_t next = 1; !stop.load(std::memory_order_relaxed);) {
      if (there->value.load(std::memory_order_acquire) != next) {
        _mm_pause();
        continue;
      }
      back->value.store(next++, std::memory_order_release);
    }
  });
  uint64_t turn = 0;
  const double time = medianTurn(400, 500, [&] {
    there->value.store(++turn, std::memory_order_release);
    while (back->value.load(std::memory_order_acquire) != turn) _mm_pause();
  });
  stop = true;
  answering.join();
  return time;
}

double recordPingPong() {
  auto there = std::make_unique<Record>();
  auto back = std::make_unique<Record>();
  std::atomic<bool> stop{false};
  const auto copy = [](Record& record, uint64_t sequence) {
    for (uint64_t& word : record.payload) word = sequence;
    record.sequence.store(sequence, std::memory_order_release);
  };
  std::thread answering([&] {
    for (uint64_t next = 1; !stop.load(std::memory_order_relaxed);) {
      if (there->sequence.load(std::memory_order_acquire) != next) {
        _mm_pause();
        continue;
      }
      copy(*back, next++);
    }
  });
  uint64_t turn = 0;
  const double time = medianTurn(400, 500, [&] {
    copy(*there, ++turn);
    while (back->sequence.load(std::memory_order_acquire) != turn) _mm_pause();
  });
  stop = true;
  answering.join();
  return time;
}

// ---- a ring, as plain as it can be

namespace {

class RawRing {
 public:
  static constexpr size_t kRecordBytes = 192;
  static constexpr uint64_t kRecords = 1365;  // 4096 lines

  explicit RawRing(bool locked)
      : locked_(locked), memory_(static_cast<std::byte*>(std::aligned_alloc(64, kRecords * kRecordBytes))) {
    std::memset(memory_.get(), 0, kRecords * kRecordBytes);
    consumer_ = std::thread([this] { consume(); });
  }
  ~RawRing() {
    stop_ = true;
    consumer_.join();
  }
  void post(const std::byte* record) {
    if (locked_) lock();
    const uint64_t head = head_;
    while (head - seen_ >= kRecords) {
      seen_ = consumed_.value.load(std::memory_order_acquire);
      if (head - seen_ >= kRecords) _mm_pause();
    }
    std::memcpy(at(head), record, kRecordBytes);
    head_ = head + 1;
    produced_.value.store(head_, std::memory_order_release);
    if (locked_) lockWord_.store(0, std::memory_order_release);
  }
  void drain() {
    while (consumed_.value.load(std::memory_order_acquire) != produced_.value.load(std::memory_order_relaxed))
      _mm_pause();
  }

 private:
  std::byte* at(uint64_t index) { return memory_.get() + index % kRecords * kRecordBytes; }
  void lock() {
    for (int tries = 0; lockWord_.exchange(1, std::memory_order_acquire) != 0; ++tries) {
      while (lockWord_.load(std::memory_order_relaxed) != 0) {
        _mm_pause();
        if (++tries % 64 == 0) std::this_thread::yield();
      }
    }
  }
  void consume() {
    alignas(64) std::byte copy[kRecordBytes];
    uint64_t tail = 0;
    while (!stop_.load(std::memory_order_relaxed)) {
      const uint64_t produced = produced_.value.load(std::memory_order_acquire);
      if (produced == tail) {
        // Looking less often lets the producer keep the index's line: several times the rate, on every
        // machine seen.
        for (int i = 0; i < 32; ++i) _mm_pause();
        continue;
      }
      for (; tail != produced; ++tail) {
        std::memcpy(copy, at(tail), sizeof copy);
        __asm__ __volatile__("" ::"r"(copy) : "memory");
      }
      consumed_.value.store(tail, std::memory_order_release);
    }
  }

  bool locked_;
  std::unique_ptr<std::byte, Free> memory_;
  Line produced_, consumed_;
  alignas(128) std::atomic<uint32_t> lockWord_{0};
  uint64_t head_ = 0;
  uint64_t seen_ = 0;
  std::atomic<bool> stop_{false};
  std::thread consumer_;
};

}  // namespace

double ringRecord(int threads) {
  RawRing ring(threads > 1);
  alignas(64) std::byte record[RawRing::kRecordBytes] = {};
  const int each = 1200 / threads;  // what the ring holds: the consumer's speed is another floor
  std::vector<double> times;
  for (int batch = 0; batch < 200; ++batch) {
    std::vector<double> own(static_cast<size_t>(threads));
    const auto produce = [&](int index) {
      const double start = threadSeconds();
      for (int i = 0; i < each; ++i) ring.post(record);
      own[static_cast<size_t>(index)] = (threadSeconds() - start) / each;
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(produce, i);
    produce(0);
    for (std::thread& other : others) other.join();
    ring.drain();
    times.insert(times.end(), own.begin(), own.end());
  }
  return median(times);
}

double ringRate(int threads) {
  RawRing ring(threads > 1);
  alignas(64) std::byte record[RawRing::kRecordBytes] = {};
  constexpr int kRecords = 40'000;
  std::vector<double> rates;
  for (int batch = 0; batch < 15; ++batch) {
    const auto start = Clock::now();
    const auto produce = [&] {
      for (int i = 0; i < kRecords / threads; ++i) ring.post(record);
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(produce);
    produce();
    for (std::thread& other : others) other.join();
    ring.drain();
    rates.push_back(kRecords / secondsSince(start));
  }
  return median(rates);
}

// ---- copies

namespace {

constexpr size_t kCopyBytes = size_t{64} << 20;

__attribute__((target("avx512f"))) void stream512(std::byte* to, const std::byte* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
  _mm_sfence();
}
__attribute__((target("avx2"))) void stream256(std::byte* to, const std::byte* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 32)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i)));
  _mm_sfence();
}
void stream128(std::byte* to, const std::byte* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 16)
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
  _mm_sfence();
}

template <class Copy>
double copyBandwidth(Copy&& copy) {
  const std::unique_ptr<void, Free> from(std::aligned_alloc(4096, kCopyBytes));
  const std::unique_ptr<void, Free> to(std::aligned_alloc(4096, kCopyBytes));
  std::memset(from.get(), 1, kCopyBytes);
  std::memset(to.get(), 2, kCopyBytes);
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    const auto start = Clock::now();
    copy(static_cast<std::byte*>(to.get()), static_cast<const std::byte*>(from.get()), kCopyBytes);
    __asm__ __volatile__("" ::"r"(to.get()) : "memory");  // the copy is wanted although nobody reads it
    times.push_back(secondsSince(start));
  }
  return kCopyBytes / median(times);
}

}  // namespace

double memcpyBandwidth() {
  return copyBandwidth(
      [](std::byte* to, const std::byte* from, size_t bytes) { std::memcpy(to, from, bytes); });
}

double streamedCopyBandwidth() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return copyBandwidth(stream512);
  if (__builtin_cpu_supports("avx2")) return copyBandwidth(stream256);
  return copyBandwidth(stream128);
}

// ---- the kernel

namespace {
void futexWait(std::atomic<uint32_t>& word, uint32_t value) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void stayOn(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(processor), &one);
  sched_setaffinity(0, sizeof one, &one);
}
void futexWake(std::atomic<uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}
}  // namespace

double futexWakeAndAnswer() {
  std::atomic<uint32_t> ask{0}, answer{0};
  constexpr uint32_t kTurns = 200;
  cpu_set_t usable;
  CPU_ZERO(&usable);
  sched_getaffinity(0, sizeof usable, &usable);
  const int here = sched_getcpu();
  stayOn(here);
  std::thread answering([&] {
    if (CPU_COUNT(&usable) > 1) {
      cpu_set_t others = usable;
      CPU_CLR(static_cast<size_t>(here), &others);
      sched_setaffinity(0, sizeof others, &others);
    }
    for (uint32_t turn = 1; turn <= kTurns; ++turn) {
      while (ask.load() != turn) futexWait(ask, turn - 1);
      answer.store(turn);
      futexWake(answer);
    }
  });
  std::vector<double> times;
  for (uint32_t turn = 1; turn <= kTurns; ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // both are asleep, as after a long idle
    const auto start = Clock::now();
    ask.store(turn);
    futexWake(ask);
    while (answer.load() != turn) futexWait(answer, turn - 1);
    times.push_back(secondsSince(start));
  }
  answering.join();
  sched_setaffinity(0, sizeof usable, &usable);
  return median(times);
}

double systemCall() {
  return medianTurn(100, 1000, [] { ::syscall(SYS_getppid); });
}

}  // namespace vgpu::bench
