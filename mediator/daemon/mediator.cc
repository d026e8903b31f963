#include "mediator/daemon/mediator.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "base/log.h"
#include "mediator/link/log_sink.h"
#include "transport/carrier/accept.h"

namespace vgpu::daemon {
namespace {

using namespace std::chrono_literals;

// The guest has ended and its socket is closed: an executor that has not seen that by then computes for
// nobody.
constexpr auto kGraceAfterGuest = 300ms;
// Between asking an executor to end and ending it.
constexpr auto kGraceAfterSignal = 1s;
// What cuInit answers then, of cuda.h, which the daemon does not include.
constexpr int32_t kDeviceUnavailable = 46;  // CUDA_ERROR_DEVICE_UNAVAILABLE
constexpr int32_t kNoDevice = 100;          // CUDA_ERROR_NO_DEVICE

int32_t errorCodeOf(Refusal refusal) { return refusal == Refusal::NoDriver ? kNoDevice : kDeviceUnavailable; }

// "HOST:0" asks for any port; what is told to people is the one that it became.
std::string withPort(const std::string& address, int port) {
  return address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

}  // namespace

Mediator::Mediator(EventLoop& loop, MediatorOptions options, Installation installation)
    : loop_(loop),
      options_(std::move(options)),
      pool_(loop, table_, vgpus_, std::move(installation)),
      presence_(loop, [this] { considerIdleExit(); }) {}

Mediator::~Mediator() {
  closeListeners();
  loop_.cancel(idleTimer_);
  for (auto& [id, session] : sessions_) {
    loop_.forget(session.executor.pidfd());
    if (session.peer.pidfd.valid()) loop_.forget(session.peer.pidfd.get());
    loop_.cancel(session.killTimer);
  }
}

Status Mediator::start(const Configuration& configuration) {
  configuration_ = configuration;
  if (Status status = listen(configuration); !status) {
    closeListeners();
    return status;
  }
  if (Status status = startServices(); !status) {
    closeListeners();
    return status;
  }
  pool_.configure(configuration);
  // Whoever starts a mediator for himself is the first to come; and an executor tells which devices there
  // are.
  pool_.prestartNow({"uid-" + std::to_string(::geteuid()), nullptr});
  considerIdleExit();
  const DriverChoice driver = chooseDriver(configuration_, pool_.installation());
  log::info("mediator is ready", {{"endpoint", listeners_.front()->text},
                                  {"endpoints", listeners_.size()},
                                  {"driver", driver.library},
                                  {"metrics", metricsAddress_}});
  return success();
}

Status Mediator::listen(const Configuration& configuration) {
  for (const std::string& text : configuration.endpoints) {
    auto listener = listenAt(text, nullptr);
    if (!listener) return listener.error();
    const transport::Endpoint& endpoint = (*listener)->endpoint;
    if (endpoint.family != transport::Endpoint::Family::Unix || listeners_.size() != 1) continue;
    Status present = presence_.listen(endpoint.path + ".presence", configuration.socketMode,
                                      options_.idleExit.has_value());
    if (!present) return present;
  }
  return updateVgpus(configuration);
}

Result<Mediator::Listener*> Mediator::listenAt(const std::string& text, std::shared_ptr<Vgpu> vgpu) {
  auto listener = std::make_unique<Listener>();
  Result<transport::Endpoint> endpoint = transport::parseEndpoint(text);
  if (!endpoint) return endpoint.error();
  listener->endpoint = std::move(*endpoint);
  listener->text = text;
  listener->vgpu = std::move(vgpu);
  const bool isUnix = listener->endpoint.family == transport::Endpoint::Family::Unix;
  if (isUnix) {
    std::error_code failed;  // listening names the path if this did not help
    std::filesystem::create_directories(std::filesystem::path(listener->endpoint.path).parent_path(), failed);
  }
  Result<UniqueFd> socket = transport::listenOn(listener->endpoint, configuration_.socketMode);
  if (!socket) return socket.error();
  listener->socket = std::move(*socket);
  if (!isUnix && listener->endpoint.port == 0) {
    if (const auto port = transport::boundPort(listener->socket.get()))
      listener->endpoint.port = port.value();
    listener->text = listener->endpoint.text();
  }
  Status watched = loop_.watch(listener->socket.get(), [this, raw = listener.get()] { acceptGuest(*raw); });
  if (!watched) return watched.error();
  return listeners_.emplace_back(std::move(listener)).get();
}

// Sessions of a vGPU that is no more go on; nobody new gets it. Its folder stays: a pod may have it mounted.
Status Mediator::updateVgpus(const Configuration& configuration) {
  auto changes = vgpus_.update(configuration.vgpus, configuration_.vgpuDirectory);
  if (!changes) return changes.error();
  for (const auto& gone : changes->removed) {
    const auto listener = std::ranges::find(listeners_, gone, &Listener::vgpu);
    if (listener == listeners_.end()) continue;
    close(**listener);
    listeners_.erase(listener);
    log::info("vGPU removed", {{"vgpu", gone->slice().name}});
  }
  Status outcome = success();
  for (const auto& made : changes->added) {
    auto listener = listenAt("unix:" + made->socketPath(), made);
    if (listener) {
      log::info("vGPU added", {{"vgpu", made->slice().name}, {"endpoint", (*listener)->text}});
    } else if (outcome) {
      outcome = listener.error();  // the others are served all the same
    }
  }
  return outcome;
}

Status Mediator::startServices() {
  if (configuration_.metricsAddress != "off") {
    auto metrics = MetricsServer::start(configuration_.metricsAddress, table_, vgpus_);
    if (!metrics) return metrics.error();
    metrics_ = std::move(*metrics);
    metricsAddress_ = withPort(configuration_.metricsAddress, metrics_->port());
  }
  if (!configuration_.controlSocket.empty()) {
    MediatorFacts facts;
    for (const auto& listener : listeners_) {
      if (!listener->vgpu) facts.endpoints.push_back(listener->text);
    }
    facts.driverLibrary = chooseDriver(configuration_, pool_.installation()).library;
    facts.metricsAddress = metricsAddress_;
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(configuration_.controlSocket).parent_path(),
                                        failed);
    auto control = ControlServer::start(configuration_.controlSocket, table_, vgpus_, std::move(facts));
    if (!control) return control.error();
    control_ = std::move(*control);
  }
  return success();
}

void Mediator::closeListeners() {
  presence_.stop();
  for (const auto& listener : listeners_) close(*listener);
  listeners_.clear();
}

void Mediator::close(const Listener& listener) {
  // Before closing: afterwards the name may be a successor's.
  if (listener.endpoint.family == transport::Endpoint::Family::Unix) ::unlink(listener.endpoint.path.c_str());
  loop_.forget(listener.socket.get());
}

void Mediator::acceptGuest(const Listener& listener) {
  UniqueFd socket(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.valid()) {
    if (errno == EMFILE || errno == ENFILE)
      log::error("a guest cannot be accepted", {{"reason", "too many open files"}});
    return;
  }
  const bool isTcp = listener.endpoint.family == transport::Endpoint::Family::Tcp;
  Peer peer = isTcp ? identifyTcpPeer() : identifyUnixPeer(socket.get());
  if (listener.vgpu) peer.tenant += "-" + listener.vgpu->slice().name;
  if (sessions_.size() >= configuration_.mostSessions) {
    return refuse(std::move(socket), Refusal::TooManySessions,
                  "the mediator serves its most sessions already (sessions.max is " +
                      std::to_string(configuration_.mostSessions) + ")");
  }
  if (const std::string failure = table_.driver().failure; !failure.empty()) {
    pool_.prestartNow({peer.tenant, listener.vgpu});  // it may have been mended since
    return refuse(std::move(socket), Refusal::NoDriver, "the mediator's driver does not work: " + failure);
  }
  if (const std::string missing = listener.vgpu ? vgpus_.unservable(*listener.vgpu) : ""; !missing.empty())
    return refuse(std::move(socket), Refusal::NoDriver,
                  "vGPU " + listener.vgpu->slice().name + ": " + missing);
  beginSession(listener, std::move(peer), std::move(socket));
}

void Mediator::refuse(UniqueFd socket, Refusal refusal, const std::string& reason) {
  table_.countRefusal(refusal);
  log::warning("a guest was turned away", {{"reason", reason}});
  transport::refuseConnection(std::move(socket), errorCodeOf(refusal), reason);
}

void Mediator::beginSession(const Listener& listener, Peer peer, UniqueFd socket) {
  const bool isTcp = listener.endpoint.family == transport::Endpoint::Family::Tcp;
  Result<ExecutorProcess> executor = pool_.take({peer.tenant, listener.vgpu});
  const uint64_t id = ++lastSession_;
  Status assigned = executor ? executor->assign({id, isTcp ? link::GuestSocket::Tcp : link::GuestSocket::Unix,
                                                 listener.text, peer.uid, peer.process},
                                                socket.get())
                             : Status(executor.error());
  if (!assigned) {
    return refuse(std::move(socket), Refusal::NoExecutor,
                  "no executor could be started: " + assigned.error().message());
  }
  socket.reset();  // only the executor has it now, so that its death is the guest's end of file
  SessionIdentity identity;
  identity.id = id;
  identity.endpoint = listener.text;
  identity.tenant = peer.tenant;
  if (listener.vgpu) {
    identity.vgpu = listener.vgpu->slice().name;
    ++listener.vgpu->sessions;
  }
  identity.peerUid = peer.uid;
  identity.peerProcess = peer.process;
  identity.executorProcess = executor->pid();
  table_.begin(std::move(identity), link::StatisticsReader(executor->takeStatistics()));
  log::info("session began", {{"session", id},
                              {"endpoint", listener.text},
                              {"tenant", peer.tenant},
                              {"guest_process", peer.process},
                              {"executor", executor->pid()}});
  pool_.prestartLater({peer.tenant, listener.vgpu});
  sessions_.emplace(id, Session{std::move(*executor), std::move(peer), listener.text, listener.vgpu, 0});
  loop_.cancel(idleTimer_);
  watchSession(id);
}

void Mediator::watchSession(uint64_t id) {
  Session& session = sessions_.at(id);
  Status watched = loop_.watch(session.executor.pidfd(), [this, id] { onExecutorEnd(id); });
  if (watched && session.peer.pidfd.valid()) {
    watched = loop_.watch(session.peer.pidfd.get(), [this, id] { onGuestEnd(id); });
  }
  // A session whose end nobody would see is not served.
  if (!watched) session.executor.signal(SIGKILL);
}

void Mediator::onGuestEnd(uint64_t id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || !found->second.peer.pidfd.valid()) return;
  Session& session = found->second;
  loop_.forget(session.peer.pidfd.get());
  session.peer.pidfd.reset();
  session.killTimer = loop_.after(kGraceAfterGuest, [this, id] {
    const auto late = sessions_.find(id);
    if (late == sessions_.end()) return;
    log::info("the guest has ended and its executor has not: ending it", {{"session", id}});
    late->second.executor.signal(SIGKILL);
  });
}

void Mediator::onExecutorEnd(uint64_t id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  const int pidfd = session.executor.pidfd();
  const auto end = session.executor.reap();
  if (!end) return;
  const bool guestGone = session.killTimer != 0;
  loop_.forget(pidfd);
  loop_.cancel(session.killTimer);
  if (session.peer.pidfd.valid()) loop_.forget(session.peer.pidfd.get());
  if (session.vgpu) --session.vgpu->sessions;
  sessions_.erase(found);

  const link::SessionSample last = table_.end(id);
  uint64_t calls = 0;
  for (const link::CallSample& call : last.calls) calls += call.calls;
  const bool expected = end->expected() || guestGone || draining_;
  if (!expected) table_.countExecutorRestart();
  log::write(expected ? log::Level::Info : log::Level::Warning, "session ended",
             {{"session", id}, {"program", last.program}, {"calls", calls}, {"reason", end->text()}});
  considerIdleExit();
  stopIfDrained();
}

void Mediator::considerIdleExit() {
  loop_.cancel(idleTimer_);
  if (!options_.idleExit || draining_ || !sessions_.empty() || presence_.holders() != 0) return;
  idleTimer_ = loop_.after(*options_.idleExit, [this] {
    log::info("nobody has needed this mediator for a while: ending");
    drain();
  });
}

void Mediator::drain() {
  if (draining_) return endSessions();
  draining_ = true;
  log::info("draining", {{"sessions", sessions_.size()}, {"wait_ms", configuration_.drainWait.count()}});
  closeListeners();
  pool_.stop();
  if (control_) control_->setDraining();
  loop_.after(configuration_.drainWait, [this] { endSessions(); });
  stopIfDrained();
}

void Mediator::endSessions() {
  for (auto& [id, session] : sessions_) {
    log::warning("ending a session", {{"session", id}});
    session.executor.signal(SIGTERM);
  }
  loop_.after(kGraceAfterSignal, [this] {
    for (auto& [id, session] : sessions_) session.executor.signal(SIGKILL);
  });
}

void Mediator::stopIfDrained() {
  if (!draining_ || !sessions_.empty()) return;
  if (!configuration_.controlSocket.empty()) ::unlink(configuration_.controlSocket.c_str());
  loop_.stop();
}

void Mediator::reload() {
  std::vector<std::string> problems;
  const auto wanted = loadConfiguration(options_, problems);
  if (!wanted) {
    for (const std::string& problem : problems)
      log::error("configuration refused, the old one stays", {{"mistake", problem}});
    return;
  }
  for (const std::string& key : keysForNextStart(configuration_, *wanted)) {
    log::warning("a changed key takes effect at the next start", {{"key", key}});
  }
  const std::string directory = configuration_.vgpuDirectory;
  configuration_ = *wanted;
  configuration_.vgpuDirectory = directory;  // until the next start
  if (Status status = updateVgpus(configuration_); !status)
    log::error("the vGPUs cannot be changed", {{"reason", status.error().message()}});
  link::installLogSink(configuration_.logFormat, configuration_.logLevel, "mediator");
  pool_.configure(configuration_);
  log::info("configuration read again", {{"file", options_.configurationFile}});
}

}  // namespace vgpu::daemon
