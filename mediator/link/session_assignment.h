// How an executor gets its session. It is started with a control socket (kControlFd), loads its driver,
// reports what the driver has, and waits; the daemon answers with one message that carries the guest's
// connected socket. So an executor may be started before its guest comes. Sent once each; afterwards the
// socket carries nothing, and the daemon reads nothing from it any more, because then the executor belongs to
// the guest. The daemon owns its end and closes the guest's socket as soon as it is handed over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu::link {

// What the guest's connection can carry. Over a unix socket the guest's greeting chooses memfd or byte
// stream.
enum class GuestSocket : uint32_t { Unix, Tcp };

struct SessionAssignment {
  uint64_t sessionId = 0;
  GuestSocket socket = GuestSocket::Unix;
  std::string endpoint;     // where it came in, for log lines
  uint32_t peerUid = 0;     // of the connecting process; meaningless for Tcp
  int32_t peerProcess = 0;  // its pid as the daemon sees it; 0: not visible
};

struct AssignedSession {
  SessionAssignment assignment;
  UniqueFd guestSocket;
};

struct DeviceReport {
  std::string name;
  std::string uuid;  // as CUDA's tools write it: GPU-xxxxxxxx-xxxx-...
  uint64_t memoryBytes = 0;
  uint32_t computeMajor = 0;
  uint32_t computeMinor = 0;
  uint32_t multiprocessors = 0;
};

struct DriverReport {
  uint32_t driverVersion = 0;  // as cuDriverGetVersion gives it
  std::string failure;         // empty: the driver works; else one line that says why not
  std::vector<DeviceReport> devices;
};

inline constexpr size_t kMaxReportedDevices = 64;
inline constexpr size_t kMaxControlMessageBytes = 32768;

// Executor's side.
Status reportDriver(int controlSocket, const DriverReport& report);
// Blocks until the session comes. Nothing: the daemon does not need this executor (any more); end with code
// 0.
Result<std::optional<AssignedSession>> receiveSession(int controlSocket);

// Daemon's side.
Status assignSession(int controlSocket, const SessionAssignment& assignment, int guestSocket);
// What the executor has reported, once; nothing while it has not. Fails when it died or lied about a size.
Result<std::optional<DriverReport>> readDriverReport(int controlSocket);

}  // namespace vgpu::link
