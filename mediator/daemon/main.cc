// vgpu-mediator: the daemon on the machine with the GPU.
//
// One process that listens, and one vgpu-executor process for every guest process. The main thread waits in
// epoll for guests, for the ends of guests and executors (pidfds), for signals (signalfd) and for timers. Two
// libraries bring threads of their own, which only read: prometheus-cpp for /metrics, gRPC for the control
// API. SIGTERM and SIGINT drain, SIGHUP reads the configuration again.

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "mediator/daemon/mediator.h"
#include "mediator/daemon/options.h"
#include "mediator/daemon/version.h"
#include "mediator/link/log_sink.h"

namespace vgpu::daemon {
namespace {

constexpr int kUsageError = 2, kFailed = 1;

// Whoever started us may wait for this line; without a descriptor stderr is enough.
void tellStarter(int fd, std::string line) {
  if (fd < 0) return;
  line += '\n';
  [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
  ::close(fd);
}

int fail(const Options& options, const std::string& line, int code) {
  std::fprintf(stderr, "vgpu-mediator: %s\n", line.c_str());
  tellStarter(options.readyFd, line);
  return code;
}

// A few descriptors a session; the usual soft limit of 1024 would end at 250 sessions.
void raiseFileLimit() {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Blocked before any thread starts, so that every thread has them blocked and the descriptor gets them all.
Result<UniqueFd> takeSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return errnoError("signalfd");
  return fd;
}

void onSignal(int fd, Mediator& mediator) {
  signalfd_siginfo info;
  while (::read(fd, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      mediator.reload();
    } else {
      mediator.drain();
    }
  }
}

int serve(const Options& options, const Configuration& configuration) {
  link::installLogSink(configuration.logFormat, configuration.logLevel, "mediator");
  raiseFileLimit();
  Result<UniqueFd> signals = takeSignals();
  if (!signals) return fail(options, signals.error().message(), kFailed);
  Result<Installation> installation = Installation::ofThisProgram();
  if (!installation) return fail(options, installation.error().message(), kFailed);
  Result<EventLoop> loop = EventLoop::make();
  if (!loop) return fail(options, loop.error().message(), kFailed);

  Mediator mediator(*loop, options.mediator, std::move(*installation));
  if (Status watched = loop->watch(signals->get(), [&] { onSignal(signals->get(), mediator); }); !watched) {
    return fail(options, watched.error().message(), kFailed);
  }
  if (Status started = mediator.start(configuration); !started)
    return fail(options, started.error().message(), kFailed);
  tellStarter(options.readyFd, "ready");
  loop->run();
  log::info("mediator has ended");
  // Sockets are closed and executors are reaped; the metrics server would take two seconds to stop its
  // threads.
  std::_Exit(0);
}

int run(int count, const char* const* words) {
  Result<Options> options = parseOptions(count, words);
  if (!options) {
    std::fprintf(stderr, "vgpu-mediator: %s\n%s", options.error().message().c_str(), usage());
    return kUsageError;
  }
  switch (options->action) {
    case Options::Action::Help:
      std::fputs(usage(), stdout);
      return 0;
    case Options::Action::Version:
      std::printf("vgpu-mediator %s\n", kVersion);
      return 0;
    case Options::Action::MetricsReference:
      std::fputs(metricsReference().c_str(), stdout);
      return 0;
    case Options::Action::ConfigurationReference:
      std::fputs(configurationReference().c_str(), stdout);
      return 0;
    default:
      break;
  }
  std::vector<std::string> problems;
  const auto configuration = loadConfiguration(options->mediator, problems);
  for (const std::string& problem : problems) std::fprintf(stderr, "vgpu-mediator: %s\n", problem.c_str());
  if (!configuration) {
    tellStarter(options->readyFd, problems.front());
    return kUsageError;
  }
  if (options->action == Options::Action::CheckConfiguration) return 0;
  return serve(*options, *configuration);
}

}  // namespace
}  // namespace vgpu::daemon

int main(int count, char** words) { return vgpu::daemon::run(count, words); }
