#include "mediator/link/session_statistics.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace vgpu::link {
namespace {

// More than any machine of ours could do; growth beyond is a lie and is cut to it.
constexpr uint64_t kMostEventsPerSecond = 1'000'000'000;
constexpr uint64_t kMostBytesPerSecond = 4'000'000'000'000;
// What a session can hold at one moment at most; bounds gauges.
constexpr uint64_t kMostBytes = uint64_t{1} << 47;
constexpr uint64_t kMostOutstanding = uint64_t{1} << 32;

uint64_t saturatingProduct(uint64_t a, uint64_t b) {
  uint64_t product;
  return __builtin_mul_overflow(a, b, &product) ? ~uint64_t{0} : product;
}

uint64_t load(const Counter& counter) { return counter.load(std::memory_order_relaxed); }

}  // namespace

void StatisticsPage::setProgram(std::string_view name) {
  std::array<char, sizeof program> text{};
  std::memcpy(text.data(), name.data(), std::min(name.size(), text.size() - 1));
  for (size_t i = 0; i < program.size(); ++i) {
    uint64_t word;
    std::memcpy(&word, text.data() + i * sizeof word, sizeof word);
    program[i].store(word, std::memory_order_relaxed);
  }
}

Result<UniqueFd> makeStatisticsPage() {
  UniqueFd memfd(::memfd_create("vgpu-statistics", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd.valid()) return errnoError("memfd for a session's statistics");
  if (::ftruncate(memfd.get(), sizeof(StatisticsPage)) < 0) return errnoError("size a session's statistics");
  if (::fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    return errnoError("seal a session's statistics");
  }
  return memfd;
}

Result<StatisticsWriter> StatisticsWriter::open(int memfd) {
  Result<Mapping> mapping = mapShared(memfd, 0, sizeof(StatisticsPage), PROT_READ | PROT_WRITE);
  if (!mapping) return mapping.error();
  return StatisticsWriter(std::move(*mapping));
}

StatisticsReader::StatisticsReader(UniqueFd memfd) : memfd_(std::move(memfd)) {}

const SessionSample& StatisticsReader::sample(std::chrono::nanoseconds sinceStart) {
  // pread and not a mapping: one private copy, and holes of the file stay holes.
  auto page = std::make_unique<StatisticsPage>();
  const ssize_t got = ::pread(memfd_.get(), page.get(), sizeof(StatisticsPage), 0);
  if (got != static_cast<ssize_t>(sizeof(StatisticsPage))) return sample_;
  readIdentity(*page);
  readCounters(*page, sinceStart);
  return sample_;
}

void StatisticsReader::believe(uint64_t& kept, uint64_t claimed, uint64_t bound) {
  kept = std::max(kept, std::min(claimed, bound));
}

void StatisticsReader::readIdentity(const StatisticsPage& page) {
  const uint32_t state = page.state.load(std::memory_order_relaxed);
  if (state < kSessionStates) sample_.state = static_cast<SessionState>(state);
  const uint32_t carrier = page.carrier.load(std::memory_order_relaxed);
  if (carrier < kSessionCarriers) sample_.carrier = static_cast<SessionCarrier>(carrier);
  sample_.guestProcess = static_cast<uint32_t>(std::min<uint64_t>(load(page.guestProcess), 1u << 22));

  std::array<char, sizeof page.program> text;
  std::memcpy(text.data(), &page.program, text.size());
  text.back() = '\0';
  sample_.program.assign(text.data());
  for (char& c : sample_.program) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
}

void StatisticsReader::readCounters(const StatisticsPage& page, std::chrono::nanoseconds sinceStart) {
  const auto seconds = static_cast<uint64_t>(
      1 + std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(sinceStart).count()));
  const uint64_t events = saturatingProduct(seconds, kMostEventsPerSecond);
  const uint64_t bytes = saturatingProduct(seconds, kMostBytesPerSecond);

  believe(sample_.bytesFromGuest, load(page.bytesFromGuest), bytes);
  believe(sample_.bytesToGuest, load(page.bytesToGuest), bytes);
  believe(sample_.rejectedRecords, load(page.rejectedRecords), events);
  believe(sample_.unknownCalls, load(page.unknownCalls), events);
  believe(sample_.asyncErrors, load(page.asyncErrors), events);
  sample_.queueDepth = std::min(load(page.queueDepth), kMostOutstanding);
  sample_.outstandingSubmissions = std::min(load(page.outstandingSubmissions), kMostOutstanding);
  sample_.allocatedBytes = std::min(load(page.allocatedBytes), kMostBytes);
  sample_.pinnedBytes = std::min(load(page.pinnedBytes), kMostBytes);

  // A thread is in one call at a time, and a session has at most as many waiting ones as guest threads.
  const uint64_t timedNanoseconds = saturatingProduct(seconds, uint64_t{1'000'000'000} * 65536);
  for (uint32_t c = 0; c < kCallClasses; ++c) {
    believe(sample_.latency[c].sumNanoseconds, load(page.latency[c].sumNanoseconds), timedNanoseconds);
    for (uint32_t b = 0; b < kLatencyBuckets; ++b) {
      believe(sample_.latency[c].buckets[b], load(page.latency[c].buckets[b]), events);
    }
  }

  std::vector<CallSample> calls;
  auto last = sample_.calls.cbegin();
  for (uint32_t number = 0; number < kCallSlots; ++number) {
    CallSample call{static_cast<uint16_t>(number), 0, 0};
    if (last != sample_.calls.cend() && last->number == number) call = *last++;
    believe(call.calls, load(page.calls[number].calls), events);
    believe(call.errors, load(page.calls[number].errors), events);
    if (call.calls != 0 || call.errors != 0) calls.push_back(call);
  }
  sample_.calls = std::move(calls);
}

}  // namespace vgpu::link
