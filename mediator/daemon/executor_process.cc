#include "mediator/daemon/executor_process.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "mediator/link/sandbox.h"
#include "mediator/link/session_statistics.h"

namespace vgpu::daemon {
namespace {

// Far above the fixed numbers, so that putting one in its place never overwrites another.
constexpr int kParkedFrom = 100;
constexpr int kExecFailed = 127;

// In the child, between fork and exec: async-signal-safe only, and by system calls directly, because under a
// sanitizer the C library's functions take locks that another thread may have held at the fork.
[[noreturn]] void becomeExecutor(const char* program, std::array<int, 5> fds, pid_t daemon) {
  link::arrangeBeforeExec(daemon);
  for (int& fd : fds) {
    if (fd >= 0) fd = static_cast<int>(::syscall(SYS_fcntl, fd, F_DUPFD, kParkedFrom));
  }
  constexpr int kPlaces[] = {link::kControlFd, link::kArgumentsFd, link::kStatisticsFd,
                             link::kCacheDirectoryFd, link::kMemoryLedgerFd};
  for (size_t i = 0; i < fds.size(); ++i) {
    if (fds[i] >= 0) {
      ::syscall(SYS_dup2, fds[i], kPlaces[i]);
    } else {
      ::syscall(SYS_close, kPlaces[i]);
    }
  }
  ::syscall(SYS_close_range, link::kFirstFreeFd, ~0U, 0);
  const char* const arguments[] = {program, nullptr};
  ::syscall(SYS_execve, program, arguments, environ);
  ::syscall(SYS_exit_group, kExecFailed);
  __builtin_unreachable();
}

}  // namespace

std::string ExecutorEnd::text() const {
  if (bySignal) return std::string("killed by signal ") + ::sigabbrev_np(code);
  if (code == kExecFailed) return "could not be executed";
  if (code == link::kServed) return "guest gone";
  if (code == link::kRefused) return "guest refused";
  if (code == link::kViolation) return "guest broke the protocol";
  return "exit code " + std::to_string(code);
}

Result<ExecutorProcess> ExecutorProcess::start(const std::string& program,
                                               const link::ExecutorArguments& arguments,
                                               const UniqueFd& cacheDirectory,
                                               std::shared_ptr<const VgpuLease> lease) {
  if (::access(program.c_str(), X_OK) < 0) return errnoError("execute " + program);
  Result<UniqueFd> encoded = link::encodeArguments(arguments);
  if (!encoded) return encoded.error();
  Result<UniqueFd> statistics = link::makeStatisticsPage();
  if (!statistics) return statistics.error();
  int sockets[2];
  // Whole messages: an assignment and its descriptor arrive together or not at all.
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) return errnoError("socketpair");

  ExecutorProcess process;
  process.control_.reset(sockets[0]);
  UniqueFd executorEnd(sockets[1]);
  const std::array<int, 5> fds = {executorEnd.get(), encoded->get(), statistics->get(),
                                  arguments.hasCacheDirectory ? cacheDirectory.get() : -1,
                                  lease ? lease->vgpu().ledger().fd() : -1};
  const pid_t daemon = ::getpid();
  process.pid_ = ::_Fork();  // without the handlers that gRPC hangs into fork
  if (process.pid_ == 0) becomeExecutor(program.c_str(), fds, daemon);
  if (process.pid_ < 0) return errnoError("fork an executor");
  process.pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, process.pid_, 0)));
  if (!process.pidfd_.valid()) return errnoError("pidfd of an executor");
  process.statistics_ = std::move(*statistics);
  process.lease_ = std::move(lease);
  return process;
}

ExecutorProcess::~ExecutorProcess() {
  if (!pidfd_.valid()) return;  // reaped, or moved from
  signal(SIGKILL);
  siginfo_t info;
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) < 0 && errno == EINTR) {
  }
}

Status ExecutorProcess::assign(const link::SessionAssignment& assignment, int guestSocket) {
  return link::assignSession(control_.get(), assignment, guestSocket);
}

void ExecutorProcess::signal(int number) const {
  if (pidfd_.valid()) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
}

std::optional<ExecutorEnd> ExecutorProcess::reap() {
  siginfo_t info{};
  if (!pidfd_.valid() || ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) < 0)
    return std::nullopt;
  if (info.si_pid == 0) return std::nullopt;
  pidfd_.reset();
  lease_.reset();
  return ExecutorEnd{info.si_code != CLD_EXITED, info.si_status};
}

}  // namespace vgpu::daemon
