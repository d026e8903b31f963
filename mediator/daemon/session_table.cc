#include "mediator/daemon/session_table.h"

namespace vgpu::daemon {

const char* nameOf(Refusal refusal) {
  constexpr const char* kNames[] = {"too_many_sessions", "no_executor", "no_driver"};
  return kNames[static_cast<uint32_t>(refusal)];
}

const char* nameOf(link::SessionCarrier carrier) {
  constexpr const char* kNames[] = {"none", "memfd", "unix-stream", "tcp"};
  return kNames[static_cast<uint32_t>(carrier)];
}

const char* nameOf(link::SessionState state) {
  constexpr const char* kNames[] = {"starting", "ready", "active", "ending"};
  return kNames[static_cast<uint32_t>(state)];
}

const char* nameOf(link::CallClass callClass) {
  constexpr const char* kNames[] = {"posted", "call", "blocking", "compile"};
  return kNames[static_cast<uint32_t>(callClass)];
}

void Totals::add(const link::SessionSample& sample) {
  for (const link::CallSample& call : sample.calls) {
    calls[call.number].calls += call.calls;
    calls[call.number].errors += call.errors;
  }
  const auto carrier = static_cast<size_t>(sample.carrier);
  bytesFromGuest[carrier] += sample.bytesFromGuest;
  bytesToGuest[carrier] += sample.bytesToGuest;
  rejectedRecords += sample.rejectedRecords;
  unknownCalls += sample.unknownCalls;
  asyncErrors += sample.asyncErrors;
  for (size_t c = 0; c < latency.size(); ++c) {
    latency[c].sumNanoseconds += sample.latency[c].sumNanoseconds;
    for (size_t b = 0; b < link::kLatencyBuckets; ++b) latency[c].buckets[b] += sample.latency[c].buckets[b];
  }
}

void SessionTable::begin(SessionIdentity identity, link::StatisticsReader statistics) {
  std::lock_guard lock(mutex_);
  ++ended_.sessionsStarted;
  const uint64_t id = identity.id;
  living_.emplace(id, Living{std::move(identity), std::move(statistics)});
}

link::SessionSample SessionTable::end(uint64_t id) {
  std::lock_guard lock(mutex_);
  const auto session = living_.find(id);
  if (session == living_.end()) return {};
  link::SessionSample last = session->second.statistics.sample(now() - session->second.identity.started);
  ended_.add(last);
  living_.erase(session);
  return last;
}

void SessionTable::countRefusal(Refusal refusal) {
  std::lock_guard lock(mutex_);
  ++ended_.refused[static_cast<size_t>(refusal)];
}

void SessionTable::countExecutorRestart() {
  std::lock_guard lock(mutex_);
  ++ended_.executorRestarts;
}

void SessionTable::setDriver(const link::DriverReport& report) {
  std::lock_guard lock(mutex_);
  driver_ = report;
}

link::DriverReport SessionTable::driver() const {
  std::lock_guard lock(mutex_);
  return driver_;
}

size_t SessionTable::size() const {
  std::lock_guard lock(mutex_);
  return living_.size();
}

std::vector<SessionView> SessionTable::sampleAll() {
  std::vector<SessionView> views;
  views.reserve(living_.size());
  for (auto& [id, session] : living_) {
    views.push_back({session.identity, session.statistics.sample(now() - session.identity.started)});
  }
  return views;
}

std::vector<SessionView> SessionTable::sessions() {
  std::lock_guard lock(mutex_);
  return sampleAll();
}

Totals SessionTable::totals(std::vector<SessionView>& living) {
  std::lock_guard lock(mutex_);
  living = sampleAll();
  Totals totals = ended_;
  for (const SessionView& view : living) totals.add(view.sample);
  return totals;
}

}  // namespace vgpu::daemon
