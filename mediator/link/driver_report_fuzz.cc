// An executor's report is read within its bounds, whatever the executor sends.
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "mediator/link/session_assignment.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int fds[2];
  CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
  vgpu::UniqueFd daemon(fds[0]), executor(fds[1]);
  if (size > 0 && ::send(executor.get(), data, size, MSG_DONTWAIT) < 0) return 0;
  const auto report = vgpu::link::readDriverReport(daemon.get());
  if (report && report.value()) CHECK(report.value()->devices.size() <= vgpu::link::kMaxReportedDevices);
  return 0;
}
