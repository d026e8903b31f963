// What the daemon knows of its sessions, living and over, for metrics and for the control API. The main
// thread begins and ends sessions; threads of gRPC and of the metrics server ask. One lock around everything;
// a question costs a copy of each living session's statistics page, which is the guest's to scribble on (see
// StatisticsReader).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "mediator/link/session_assignment.h"
#include "mediator/link/session_statistics.h"

namespace vgpu::daemon {

struct SessionIdentity {
  uint64_t id = 0;
  std::string endpoint;
  std::string tenant;
  std::string vgpu;  // empty: none, but the whole of what the driver has
  uint32_t peerUid = 0;
  int32_t peerProcess = 0;  // 0: not visible from here
  int32_t executorProcess = 0;
  MonotonicTime started = now();
};

struct SessionView {
  SessionIdentity identity;
  link::SessionSample sample;
};

enum class Refusal : uint32_t { TooManySessions, NoExecutor, NoDriver };
inline constexpr uint32_t kRefusals = 3;
const char* nameOf(Refusal refusal);
const char* nameOf(link::SessionCarrier carrier);
const char* nameOf(link::SessionState state);
const char* nameOf(link::CallClass callClass);

// Sums over all sessions since the daemon's start.
struct Totals {
  struct Call {
    uint64_t calls = 0, errors = 0;
  };
  std::map<uint16_t, Call> calls;
  std::array<uint64_t, link::kSessionCarriers> bytesFromGuest{}, bytesToGuest{};
  uint64_t rejectedRecords = 0, unknownCalls = 0, asyncErrors = 0;
  std::array<link::LatencySample, link::kCallClasses> latency{};
  uint64_t sessionsStarted = 0, executorRestarts = 0;
  std::array<uint64_t, kRefusals> refused{};

  void add(const link::SessionSample& sample);
};

class SessionTable {
 public:
  void begin(SessionIdentity identity, link::StatisticsReader statistics);
  // Reads the statistics a last time and keeps them in the totals.
  link::SessionSample end(uint64_t id);
  void countRefusal(Refusal refusal);
  void countExecutorRestart();
  void setDriver(const link::DriverReport& report);

  size_t size() const;
  std::vector<SessionView> sessions();
  // Totals of all sessions, and the living ones that are a part of them.
  Totals totals(std::vector<SessionView>& living);
  link::DriverReport driver() const;

 private:
  struct Living {
    SessionIdentity identity;
    link::StatisticsReader statistics;
  };
  std::vector<SessionView> sampleAll();

  mutable std::mutex mutex_;
  std::map<uint64_t, Living> living_;
  Totals ended_;
  link::DriverReport driver_;
};

}  // namespace vgpu::daemon
