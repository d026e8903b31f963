// The statistics page of one executor: a memfd that the daemon makes and seals in size, the executor maps and
// writes with relaxed atomics, and the daemon reads when metrics are asked for and once more when the session
// has ended. Each counter has one writing thread unless its comment says otherwise, so counting costs a load
// and a store. For the daemon every byte is untrusted: an executor belongs to its guest. It copies the page
// once (pread), then bounds whatever it uses; see StatisticsReader.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu::link {

// Call numbers are 16 bits with the noun in the upper byte; nouns 0x00 to 0x1f have a page of 256 slots each,
// larger numbers are counted together in slot 0. Pages of unused nouns take no memory.
inline constexpr uint32_t kCallSlots = 0x2000;
inline constexpr uint32_t kLatencyBuckets = 32;

enum class SessionState : uint32_t { Starting, Ready, Active, Ending };
enum class SessionCarrier : uint32_t { None, Memfd, UnixStream, TcpStream };
enum class CallClass : uint32_t { Posted, Call, Blocking, Compile };
inline constexpr uint32_t kSessionStates = 4, kSessionCarriers = 4, kCallClasses = 4;

using Counter = std::atomic<uint64_t>;

// Adds to a counter that only the calling thread writes.
inline void addOwned(Counter& counter, uint64_t amount = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

// Upper bound of bucket i: 2^(i+8) nanoseconds, 256 ns to 9 minutes; the last bucket has no bound.
constexpr uint32_t latencyBucket(uint64_t nanoseconds) {
  const uint32_t bits = nanoseconds == 0 ? 0 : 64 - static_cast<uint32_t>(__builtin_clzll(nanoseconds));
  return bits <= 8 ? 0 : (bits - 8 < kLatencyBuckets ? bits - 8 : kLatencyBuckets - 1);
}

struct CallCounters {
  Counter calls, errors;
};

struct LatencyCounters {
  Counter sumNanoseconds;
  std::array<Counter, kLatencyBuckets> buckets;
};

struct StatisticsPage {
  // Identity, written by the executor once the greeting is known.
  std::atomic<uint32_t> state, carrier;  // SessionState, SessionCarrier
  Counter guestProcess;                  // pid in the guest's own namespace, as it says
  std::array<Counter, 8> program;        // its name, 63 bytes at most, zero-padded

  alignas(64) Counter bytesFromGuest, bytesToGuest;  // dispatcher: records and payload, whatever carries them
  Counter rejectedRecords;                           // dispatcher: records that broke a rule
  Counter queueDepth;                                // dispatcher: decoded, not yet given to the driver
  Counter unknownCalls;                              // dispatcher: calls answered NOT_SUPPORTED

  // Written by whichever thread allocates or completes: fetch_add and fetch_sub.
  alignas(64) Counter allocatedBytes, pinnedBytes, outstandingSubmissions, asyncErrors;

  // One class is timed by one thread only, or by fetch_add.
  alignas(64) std::array<LatencyCounters, kCallClasses> latency;

  alignas(4096) std::array<CallCounters, kCallSlots> calls;  // dispatcher

  void countCall(uint16_t number, bool failed) {
    CallCounters& slot = calls[number < kCallSlots ? number : 0];
    addOwned(slot.calls);
    if (failed) addOwned(slot.errors);
  }
  void countError(uint16_t number) { addOwned(calls[number < kCallSlots ? number : 0].errors); }
  void timeCall(CallClass callClass, std::chrono::nanoseconds took) {
    LatencyCounters& counters = latency[static_cast<uint32_t>(callClass)];
    const uint64_t nanoseconds = took.count() < 0 ? 0 : static_cast<uint64_t>(took.count());
    addOwned(counters.sumNanoseconds, nanoseconds);
    addOwned(counters.buckets[latencyBucket(nanoseconds)]);
  }
  void setState(SessionState s) { state.store(static_cast<uint32_t>(s), std::memory_order_relaxed); }
  void setCarrier(SessionCarrier c) { carrier.store(static_cast<uint32_t>(c), std::memory_order_relaxed); }
  void setProgram(std::string_view name);
};
static_assert(Counter::is_always_lock_free && sizeof(Counter) == 8);

// Daemon's side: a page of zeros, sealed so that an executor cannot cut it away under the reader.
Result<UniqueFd> makeStatisticsPage();

// Executor's side: the page, writable for as long as this lives.
class StatisticsWriter {
 public:
  static Result<StatisticsWriter> open(int memfd);
  StatisticsPage* operator->() const { return page(); }
  StatisticsPage* page() const { return reinterpret_cast<StatisticsPage*>(mapping_.data()); }

 private:
  explicit StatisticsWriter(Mapping mapping) : mapping_(std::move(mapping)) {}
  Mapping mapping_;
};

// What the daemon believes of a page at one moment.
struct CallSample {
  uint16_t number = 0;
  uint64_t calls = 0, errors = 0;
};

struct LatencySample {
  uint64_t sumNanoseconds = 0;
  std::array<uint64_t, kLatencyBuckets> buckets{};
};

struct SessionSample {
  SessionState state = SessionState::Starting;
  SessionCarrier carrier = SessionCarrier::None;
  uint32_t guestProcess = 0;
  std::string program;  // printable ASCII, at most 63 characters
  uint64_t bytesFromGuest = 0, bytesToGuest = 0;
  uint64_t rejectedRecords = 0, queueDepth = 0, unknownCalls = 0;
  uint64_t allocatedBytes = 0, pinnedBytes = 0, outstandingSubmissions = 0, asyncErrors = 0;
  std::array<LatencySample, kCallClasses> latency{};
  std::vector<CallSample> calls;  // ascending, without the never used
};

// Reads one page again and again. Counters that went down are held at their last value, and none grows faster
// than a processor could count, so that a hostile executor cannot make a total jump or overflow.
class StatisticsReader {
 public:
  explicit StatisticsReader(UniqueFd memfd);
  const SessionSample& sample(std::chrono::nanoseconds sinceStart);
  int fd() const { return memfd_.get(); }

 private:
  void believe(uint64_t& kept, uint64_t claimed, uint64_t bound);
  void readIdentity(const StatisticsPage& page);
  void readCounters(const StatisticsPage& page, std::chrono::nanoseconds sinceStart);

  UniqueFd memfd_;
  SessionSample sample_;
};

}  // namespace vgpu::link
