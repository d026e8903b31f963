// An executor that speaks mediator/link and nothing else: no driver, no rings. The daemon's tests steer it by
// single letters on the guest's socket and see what the daemon makes of its life, its counters and its end.

#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "mediator/link/executor_arguments.h"
#include "mediator/link/executor_exit.h"
#include "mediator/link/log_sink.h"
#include "mediator/link/sandbox.h"
#include "mediator/link/session_assignment.h"
#include "mediator/link/session_statistics.h"

namespace vgpu::link {
namespace {

[[noreturn]] void fail(const Error& error) {
  log::error("test executor", {{"reason", error.message()}});
  std::exit(kFailed);
}

// Answers each letter with itself when it is done.
void obey(char letter, StatisticsPage& page, int socket) {
  switch (letter) {
    case 'c':
      page.countCall(0x0210, false);
      break;
    case 'e':
      page.countCall(0x0210, true);
      break;
    case 'b':
      addOwned(page.bytesFromGuest, 1000);
      break;
    case 'a':
      page.allocatedBytes.fetch_add(1 << 20);
      break;
    case 'r':
      addOwned(page.rejectedRecords);
      break;
    case 's':
      std::memset(static_cast<void*>(&page), 0xff, sizeof page);
      break;
    case 'x':
      std::exit(3);
    case 'k':
      std::abort();
    case 'h':
      for (;;) ::pause();
    default:
      break;
  }
  (void)::send(socket, &letter, 1, MSG_NOSIGNAL);
}

int run() {
  Result<ExecutorArguments> arguments = receiveArguments();
  if (!arguments) fail(arguments.error());
  installLogSink(arguments->logFormat, arguments->logLevel, "executor");
  if (arguments->driverLibrary == "/dies") return kFailed;
  const SandboxPaths paths{arguments->readablePaths, arguments->hasCacheDirectory ? kCacheDirectoryFd : -1};
  if (Status status = enterDriverStage(arguments->sandbox, arguments->limits, paths); !status)
    fail(status.error());
  Result<StatisticsWriter> statistics = StatisticsWriter::open(kStatisticsFd);
  if (!statistics) fail(statistics.error());
  DriverReport report{13000, "", {{"test device", "GPU-test", uint64_t{80} << 30, 9, 0, arguments->workers}}};
  if (arguments->driverLibrary == "/fails") report = {0, "this driver fails", {}};
  if (Status status = reportDriver(kControlFd, report); !status) fail(status.error());
  if (Status status = enterGuestStage(arguments->sandbox); !status) fail(status.error());
  if (!report.failure.empty()) return kFailed;
  statistics->page()->setState(SessionState::Ready);

  Result<std::optional<AssignedSession>> session = receiveSession(kControlFd);
  if (!session) fail(session.error());
  if (!session->has_value()) return 0;
  setLogSession(session.value()->assignment.sessionId);
  StatisticsPage& page = *statistics->page();
  page.setState(SessionState::Active);
  page.setCarrier(SessionCarrier::Memfd);
  page.setProgram("letters");
  const int socket = session.value()->guestSocket.get();
  for (char letter; ::recv(socket, &letter, 1, 0) == 1;) obey(letter, page, socket);
  page.allocatedBytes = 0;
  return 0;
}

}  // namespace
}  // namespace vgpu::link

int main() { return vgpu::link::run(); }
