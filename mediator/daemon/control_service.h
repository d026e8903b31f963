// The control API's server: gRPC threads answer from the session table; nothing here changes a session.
// The socket belongs to the daemon's user alone (mode 0600), so a caller is trusted as that user is.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "mediator/daemon/session_table.h"
#include "mediator/daemon/vgpu_table.h"

namespace vgpu::daemon {

// What GetStatus tells beside the session table. The main thread makes it before the server starts.
struct MediatorFacts {
  std::vector<std::string> endpoints;
  std::string driverLibrary;
  std::string metricsAddress;
};

class ControlServer {
 public:
  static Result<std::unique_ptr<ControlServer>> start(const std::string& socketPath, SessionTable& sessions,
                                                      const VgpuTable& vgpus, MediatorFacts facts);
  ~ControlServer();  // closes connections at once and removes the socket file

  void setDraining() { draining_ = true; }

 private:
  struct Implementation;  // keeps gRPC's headers out of the daemon's other files
  ControlServer();

  std::atomic<bool> draining_{false};
  std::string socketPath_;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace vgpu::daemon
