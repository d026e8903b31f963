// vgpu-executor: one process, one session. Started by the daemon with its arguments, a control socket and a
// statistics page in fixed descriptors (mediator/link). It confines itself, loads the driver, reports what
// the driver has, waits for its guest, confines itself further, and then serves until the guest is gone. The
// end of the process frees everything.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/log.h"
#include "mediator/executor/execution.h"
#include "mediator/executor/output.h"
#include "mediator/executor/session_start.h"
#include "mediator/link/log_sink.h"
#include "mediator/link/sandbox.h"
#include "transport/carrier/accept.h"

namespace vgpu::executor {
namespace {

// What the daemon sees as the exit code; a guest that breaks the protocol is told apart from one that is
// gone.
enum ExitCode { kServed = 0, kRefused = 2, kViolation = 3, kFailed = 4 };

int fail(const Error& error) {
  log::error("executor cannot serve", {{"reason", error.message()}});
  return kFailed;
}

// The CPU driver takes its configuration from the environment (cpu_driver/runtime/configuration.h).
void configureDriver(const link::ExecutorArguments& arguments) {
  if (arguments.deviceMemoryBytes)
    ::setenv("VGPU_CPU_MEMORY", std::to_string(arguments.deviceMemoryBytes).c_str(), 1);
  if (arguments.workers) ::setenv("VGPU_CPU_WORKERS", std::to_string(arguments.workers).c_str(), 1);
  const std::string cache = "/proc/self/fd/" + std::to_string(link::kCacheDirectoryFd);
  ::setenv("VGPU_CPU_CACHE", arguments.hasCacheDirectory ? cache.c_str() : "", 1);
  if (!arguments.gpu.empty()) {
    ::setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 1);
    ::setenv("CUDA_VISIBLE_DEVICES", arguments.gpu.c_str(), 1);
  }
  if (arguments.cacheBytes) ::setenv("VGPU_CPU_CACHE_BYTES", std::to_string(arguments.cacheBytes).c_str(), 1);
}

transport::ChannelLimits channelLimits(const link::ExecutorLimits& limits) {
  transport::ChannelLimits channel;
  channel.ringLines = limits.ringLines;
  channel.threads = limits.guestThreads;
  channel.eventLines = limits.eventRingLines;
  channel.streams = protocol::kMaxStreams;
  channel.slots = static_cast<uint32_t>(std::max<uint64_t>(limits.windowBytes / channel.slotBytes, 2));
  return channel;
}

link::SessionCarrier carrierOf(const transport::PendingGuest& guest, link::GuestSocket socket) {
  if (guest.carrier() == transport::CarrierKind::Memfd) return link::SessionCarrier::Memfd;
  return socket == link::GuestSocket::Tcp ? link::SessionCarrier::TcpStream
                                          : link::SessionCarrier::UnixStream;
}

struct Prepared {
  link::ExecutorArguments arguments;
  Driver driver;
  SessionDevices devices;
  OutputForwarder output;
  std::optional<link::LedgerPlace> vgpu;
};

// Not more memory than the session can have.
void boundMemory(SessionDevices& devices, const Prepared& prepared) {
  for (protocol::DeviceInfo& device : devices.devices) {
    if (const uint64_t limit = prepared.arguments.limits.memoryBytes; limit != 0)
      device.totalBytes = std::min(device.totalBytes, limit);
    if (prepared.vgpu) device.totalBytes = std::min(device.totalBytes, prepared.vgpu->limitBytes());
  }
}

int serve(Prepared& prepared, link::AssignedSession session, link::StatisticsPage& statistics) {
  const link::ExecutorArguments& arguments = prepared.arguments;
  auto guest = transport::accept(std::move(session.guestSocket));
  if (!guest) return fail(guest.error());
  auto hello = readHello(guest->hello());
  if (!hello) {
    log::warning("guest refused", {{"reason", hello.error().message()}});
    std::move(*guest).refuse(kRefused, hello.error().message());
    return kRefused;
  }
  statistics.guestProcess.store(static_cast<uint64_t>(static_cast<uint32_t>(hello->pid)),
                                std::memory_order_relaxed);
  statistics.setProgram(hello->program);
  statistics.setCarrier(carrierOf(*guest, session.assignment.socket));
  auto range = reserveRange(*hello);
  if (!range) {
    log::warning("guest refused", {{"reason", range.error().message()}});
    std::move(*guest).refuse(kRefused, range.error().message());
    return kRefused;
  }
  boundMemory(prepared.devices, prepared);
  const auto welcome = makeWelcome(prepared.driver, prepared.devices, *range, session.assignment.sessionId);
  auto channel = std::move(*guest).welcome(welcome, channelLimits(arguments.limits));
  if (!channel) return fail(channel.error());

  ExecutionSettings settings;
  settings.memoryBytes = arguments.limits.memoryBytes;
  settings.vgpu = prepared.vgpu ? &*prepared.vgpu : nullptr;
  settings.pinnedBytes = arguments.limits.pinnedBytes;
  settings.spillBytes = arguments.limits.spillBytes;
  settings.heldOperations = arguments.limits.outstandingSubmissions;
  settings.rangeBase = reinterpret_cast<uint64_t>(range->data());
  settings.rangeBytes = range->sizeBytes();
  settings.strict = arguments.strict;
  OpenAdmission admission;
  // Not destroyed: threads may be inside the driver for as long as the guest's kernels run.
  auto* execution = new Execution(prepared.driver, **channel, statistics, admission, settings);
  prepared.output.start(prepared.driver, **channel);
  execution->setOutput(&prepared.output);
  statistics.setState(link::SessionState::Active);
  const Execution::End end = execution->run();
  statistics.setState(link::SessionState::Ending);
  statistics.allocatedBytes.store(0, std::memory_order_relaxed);
  statistics.pinnedBytes.store(0, std::memory_order_relaxed);
  return end == Execution::End::Violation ? kViolation : kServed;
}

// Tells the daemon what the driver has, or why it cannot be used.
Result<SessionDevices> startDriver(const link::ExecutorArguments& arguments, Driver& driver) {
  configureDriver(arguments);
  auto loaded = loadDriver(arguments.driverLibrary);
  auto devices = loaded ? describeDevices(*loaded) : Result<SessionDevices>(loaded.error());
  if (loaded) driver = *loaded;
  link::DriverReport report;
  if (devices) {
    report = reportOf(*devices);
  } else {
    report.failure = devices.error().message();
  }
  if (Status status = link::reportDriver(link::kControlFd, report); !status) return status.error();
  return devices;
}

// Where log lines go once descriptor 2 is the driver's for device output.
int logDescriptor = -1;
link::LogFormat logFormat = link::LogFormat::Text;

void writeLogLine(log::Level level, std::string_view event, log::Fields fields) {
  std::string line = logFormat == link::LogFormat::Json ? link::formatJson(level, event, fields)
                                                        : link::formatText(level, event, fields);
  line += '\n';
  (void)!::write(logDescriptor, line.data(), line.size());
}

Result<OutputForwarder> takeOutput(const Driver& driver, link::LogFormat format) {
  if (driver.vgpuCpuDriverSetOutput) return OutputForwarder::prepare(driver);
  logFormat = format;
  logDescriptor = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, link::kFirstFreeFd);
  auto output = OutputForwarder::prepare(driver);
  if (output && logDescriptor >= 0) log::setSink(&writeLogLine);
  return output;
}

int run() {
  auto arguments = link::receiveArguments();
  if (!arguments) return fail(arguments.error());
  link::installLogSink(arguments->logFormat, arguments->logLevel, "executor");
  const link::SandboxPaths paths{arguments->readablePaths,
                                 arguments->hasCacheDirectory ? link::kCacheDirectoryFd : -1};
  if (Status status = link::enterDriverStage(arguments->sandbox, arguments->limits, paths); !status)
    return fail(status.error());
  auto statistics = link::StatisticsWriter::open(link::kStatisticsFd);
  if (!statistics) return fail(statistics.error());
  std::optional<link::LedgerPlace> vgpu;
  if (arguments->hasMemoryLedger) {
    auto place = link::LedgerPlace::open(link::kMemoryLedgerFd, arguments->ledgerPlace);
    if (!place) return fail(place.error());
    vgpu.emplace(std::move(*place));
  }
  Driver driver;
  auto devices = startDriver(*arguments, driver);
  if (!devices) return fail(devices.error());
  auto output = takeOutput(driver, arguments->logFormat);
  if (!output) return fail(output.error());
  if (Status status = link::enterGuestStage(arguments->sandbox); !status) return fail(status.error());
  statistics->page()->setState(link::SessionState::Ready);

  auto session = link::receiveSession(link::kControlFd);
  if (!session) return fail(session.error());
  if (!session->has_value()) return kServed;
  link::setLogSession(session->value().assignment.sessionId);
  Prepared prepared{std::move(*arguments), driver, std::move(*devices), std::move(*output), std::move(vgpu)};
  return serve(prepared, std::move(**session), *statistics->page());
}

}  // namespace
}  // namespace vgpu::executor

int main() {
  const int code = vgpu::executor::run();
  // Kernels may still run, and destructors would wait for them: the kernel takes everything back at once.
  ::_exit(code);
}
