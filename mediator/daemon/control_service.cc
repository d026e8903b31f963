#include "mediator/daemon/control_service.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "control.grpc.pb.h"
#include "mediator/daemon/version.h"

namespace vgpu::daemon {
namespace {

namespace api = vgpu::control::v1;
using grpc::ServerContext;

void describe(const SessionView& view, api::Session& out) {
  const auto& [identity, sample] = view;
  out.set_id(identity.id);
  out.set_program(sample.program);
  out.set_guest_process(sample.guestProcess);
  out.set_peer_process(identity.peerProcess);
  out.set_peer_uid(identity.peerUid);
  out.set_executor_process(identity.executorProcess);
  out.set_tenant(identity.tenant);
  out.set_endpoint(identity.endpoint);
  out.set_carrier(nameOf(sample.carrier));
  out.set_state(nameOf(sample.state));
  out.set_age_seconds(std::chrono::duration<double>(now() - identity.started).count());
  out.set_allocated_bytes(sample.allocatedBytes);
  out.set_pinned_bytes(sample.pinnedBytes);
  uint64_t calls = 0, errors = 0;
  for (const link::CallSample& call : sample.calls) {
    calls += call.calls;
    errors += call.errors;
  }
  out.set_calls(calls);
  out.set_errors(errors);
  out.set_bytes_from_guest(sample.bytesFromGuest);
  out.set_bytes_to_guest(sample.bytesToGuest);
  out.set_outstanding_submissions(sample.outstandingSubmissions);
  out.set_vgpu(identity.vgpu);
}

void describe(const VgpuView& view, api::Vgpu& out) {
  out.set_name(view.slice.name);
  out.set_gpu(view.slice.gpu);
  out.set_gpu_uuid(view.gpuUuid);
  out.set_memory_bytes(view.slice.memoryBytes);
  out.set_share_percent(view.slice.sharePercent);
  out.set_profile(view.slice.profile);
  out.set_socket(view.socketPath);
  out.set_unhealthy(view.unhealthy);
  out.set_used_bytes(view.usedBytes);
  out.set_sessions(view.sessions);
}

// How soon a stream notices that its client has gone, or that the mediator ends.
constexpr std::chrono::seconds kLookAgain{1};

class Service final : public api::Control::Service {
 public:
  Service(SessionTable& sessions, const VgpuTable& vgpus, MediatorFacts facts,
          const std::atomic<bool>& draining)
      : sessions_(sessions), vgpus_(vgpus), facts_(std::move(facts)), draining_(draining) {}

  grpc::Status GetStatus(ServerContext*, const api::GetStatusRequest*, api::GetStatusResponse* out) override {
    const link::DriverReport driver = sessions_.driver();
    out->set_version(kVersion);
    out->set_process(static_cast<uint32_t>(::getpid()));
    for (const std::string& endpoint : facts_.endpoints) out->add_endpoints(endpoint);
    out->set_driver_library(facts_.driverLibrary);
    out->set_driver_version(driver.driverVersion);
    out->set_driver_failure(driver.failure);
    out->set_metrics_address(facts_.metricsAddress);
    out->set_draining(draining_);
    return grpc::Status::OK;
  }

  grpc::Status ListSessions(ServerContext*, const api::ListSessionsRequest*,
                            api::ListSessionsResponse* out) override {
    for (const SessionView& view : sessions_.sessions()) describe(view, *out->add_sessions());
    return grpc::Status::OK;
  }

  grpc::Status ListGpus(ServerContext*, const api::ListGpusRequest*, api::ListGpusResponse* out) override {
    const link::DriverReport driver = sessions_.driver();
    const std::vector<SessionView> sessions = sessions_.sessions();
    uint64_t allocatedBytes = 0;
    for (const SessionView& view : sessions) allocatedBytes += view.sample.allocatedBytes;
    out->set_driver_failure(driver.failure);
    for (uint32_t i = 0; i < driver.devices.size(); ++i) {
      const link::DeviceReport& device = driver.devices[i];
      api::Gpu& gpu = *out->add_gpus();
      gpu.set_index(i);
      gpu.set_name(device.name);
      gpu.set_uuid(device.uuid);
      gpu.set_memory_bytes(device.memoryBytes);
      gpu.set_compute_major(device.computeMajor);
      gpu.set_compute_minor(device.computeMinor);
      gpu.set_multiprocessors(device.multiprocessors);
      gpu.set_allocated_bytes(allocatedBytes);
      gpu.set_sessions(static_cast<uint32_t>(sessions.size()));
    }
    return grpc::Status::OK;
  }

  grpc::Status WatchVgpus(ServerContext* context, const api::WatchVgpusRequest*,
                          grpc::ServerWriter<api::VgpuList>* writer) override {
    for (uint64_t told = 0; !context->IsCancelled() && !draining_;) {
      const uint64_t generation = vgpus_.waitForChange(told, kLookAgain);
      if (generation == told) continue;
      told = generation;
      api::VgpuList list;
      for (const VgpuView& view : vgpus_.list()) describe(view, *list.add_vgpus());
      if (!writer->Write(list)) break;
    }
    return grpc::Status::OK;
  }

 private:
  SessionTable& sessions_;
  const VgpuTable& vgpus_;
  const MediatorFacts facts_;
  const std::atomic<bool>& draining_;
};

}  // namespace

struct ControlServer::Implementation {
  Service service;
  std::unique_ptr<grpc::Server> server;
};

ControlServer::ControlServer() = default;

ControlServer::~ControlServer() {
  if (!implementation_ || !implementation_->server) return;
  ::unlink(socketPath_.c_str());
  implementation_->server->Shutdown(std::chrono::system_clock::now());
}

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& socketPath,
                                                            SessionTable& sessions, const VgpuTable& vgpus,
                                                            MediatorFacts facts) {
  std::unique_ptr<ControlServer> made(new ControlServer);
  made->socketPath_ = socketPath;
  made->implementation_.reset(
      new Implementation{Service(sessions, vgpus, std::move(facts), made->draining_), nullptr});
  ::unlink(socketPath
               .c_str());  // of a predecessor that was killed; a living one holds the endpoints, tried before
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socketPath, grpc::InsecureServerCredentials());
  builder.RegisterService(&made->implementation_->service);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  const mode_t kept = ::umask(0177);  // gRPC makes the file: never, not even for a moment, open to others
  made->implementation_->server = builder.BuildAndStart();
  ::umask(kept);
  if (!made->implementation_->server)
    return Error{"serve the control API at unix:" + socketPath, "cannot listen there"};
  ::chmod(socketPath.c_str(), 0600);
  return made;
}

}  // namespace vgpu::daemon
