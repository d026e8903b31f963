// The mediator: accepts guests, gives each an executor process, ends what must end. One thread runs
// everything here; gRPC and the metrics server have threads of their own that only read the session table. It
// never calls CUDA and never reads a byte from a guest: a connected socket goes to the executor as it came.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mediator/daemon/configuration.h"
#include "mediator/daemon/control_service.h"
#include "mediator/daemon/event_loop.h"
#include "mediator/daemon/executor_pool.h"
#include "mediator/daemon/metrics.h"
#include "mediator/daemon/peer.h"
#include "mediator/daemon/presence.h"
#include "mediator/daemon/session_table.h"
#include "mediator/daemon/vgpu_table.h"
#include "transport/carrier/endpoint.h"

namespace vgpu::daemon {

struct MediatorOptions {
  std::string configurationFile;  // empty: none
  std::vector<std::string> overrides, defaults;
  std::optional<std::chrono::milliseconds> idleExit;  // end when nobody has needed it for so long
};

class Mediator {
 public:
  Mediator(EventLoop& loop, MediatorOptions options, Installation installation);
  ~Mediator();

  // Begins to listen everywhere. Nothing is left behind when it fails.
  Status start(const Configuration& configuration);
  void reload();
  // Lets sessions end until the configured wait is over, then ends them. A second call ends them at once.
  void drain();

 private:
  struct Listener {
    transport::Endpoint endpoint;
    std::string text;
    UniqueFd socket;
    std::shared_ptr<Vgpu> vgpu;  // null: an endpoint of `endpoints`
  };
  struct Session {
    ExecutorProcess executor;
    Peer peer;
    std::string endpoint;
    std::shared_ptr<Vgpu> vgpu;
    EventLoop::TimerId killTimer = 0;
  };

  Status listen(const Configuration& configuration);
  Result<Listener*> listenAt(const std::string& text, std::shared_ptr<Vgpu> vgpu);
  Status updateVgpus(const Configuration& configuration);
  void close(const Listener& listener);
  Status startServices();
  void closeListeners();
  void acceptGuest(const Listener& listener);
  void beginSession(const Listener& listener, Peer peer, UniqueFd socket);
  void watchSession(uint64_t id);
  void refuse(UniqueFd socket, Refusal refusal, const std::string& reason);
  void onExecutorEnd(uint64_t id);
  void onGuestEnd(uint64_t id);
  void endSessions();
  void considerIdleExit();
  void stopIfDrained();

  EventLoop& loop_;
  const MediatorOptions options_;
  Configuration configuration_;
  SessionTable table_;
  VgpuTable vgpus_;
  ExecutorPool pool_;
  Presence presence_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<MetricsServer> metrics_;
  std::string metricsAddress_ = "off";
  std::unique_ptr<ControlServer> control_;
  std::map<uint64_t, Session> sessions_;
  uint64_t lastSession_ = 0;
  bool draining_ = false;
  EventLoop::TimerId idleTimer_ = 0;
};

// Reads and checks the file and the overrides; every mistake becomes one line of `problems`.
std::optional<Configuration> loadConfiguration(const MediatorOptions& options,
                                               std::vector<std::string>& problems);

}  // namespace vgpu::daemon
