#include "mediator/link/executor_arguments.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <bit>
#include <limits>

#include "mediator/link/encoding.h"

namespace vgpu::link {
namespace {

constexpr uint64_t kMagic = 0x32736772'75706776;  // "vgpurgs2": changes with the order of the fields
constexpr size_t kLongestText = 4096;             // PATH_MAX
constexpr size_t kMostPaths = 64;
constexpr size_t kLargestArgumentsBytes = 1 << 20;
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr uint32_t kAny32 = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kMostBytes = uint64_t{1} << 47;  // the user half of the address space

void encodeLimits(Encoder& out, const ExecutorLimits& limits) {
  for (uint64_t bytes : {limits.memoryBytes, limits.pinnedBytes, limits.windowBytes, limits.spillBytes})
    out.word(bytes);
  for (uint32_t count : {limits.outstandingSubmissions, limits.ringLines, limits.eventRingLines,
                         limits.guestThreads, limits.handles, limits.openFiles, limits.processes}) {
    out.word(count);
  }
}

ExecutorLimits decodeLimits(Decoder& in) {
  ExecutorLimits limits;
  for (uint64_t* bytes :
       {&limits.memoryBytes, &limits.pinnedBytes, &limits.windowBytes, &limits.spillBytes}) {
    *bytes = in.word(kMostBytes);
  }
  for (uint32_t* count : {&limits.outstandingSubmissions, &limits.ringLines, &limits.eventRingLines,
                          &limits.guestThreads, &limits.handles, &limits.openFiles, &limits.processes}) {
    *count = static_cast<uint32_t>(in.word(kAny32));
  }
  return limits;
}

const char* impossibleLimit(const ExecutorLimits& limits) {
  if (!std::has_single_bit(limits.ringLines) || limits.ringLines < 4096) {
    return "ring lines must be a power of two from 4096";
  }
  if (!std::has_single_bit(limits.eventRingLines)) return "event ring lines must be a power of two";
  if (limits.windowBytes < (256u << 10)) return "the data window must hold a chunk of 256 KiB";
  if (limits.outstandingSubmissions == 0) return "no outstanding submission is allowed";
  if (limits.guestThreads == 0) return "no guest thread is allowed";
  if (limits.handles == 0) return "no handle is allowed";
  if (limits.openFiles < 64) return "fewer than 64 open files";
  return nullptr;
}

Status closeOnExec(int fd) {
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags < 0 || ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0) {
    return errnoError("descriptor " + std::to_string(fd) + " from the mediator");
  }
  return success();
}

}  // namespace

Result<UniqueFd> encodeArguments(const ExecutorArguments& arguments) {
  Encoder out;
  out.word(kMagic);
  out.text(arguments.driverLibrary);
  out.word(static_cast<uint64_t>(arguments.sandbox));
  out.word(arguments.readablePaths.size());
  for (const std::string& path : arguments.readablePaths) out.text(path);
  encodeLimits(out, arguments.limits);
  for (uint64_t value : {arguments.deviceMemoryBytes, uint64_t{arguments.workers}, arguments.cacheBytes})
    out.word(value);
  out.word(arguments.hasCacheDirectory);
  out.word(arguments.hasMemoryLedger);
  out.word(arguments.ledgerPlace);
  out.text(arguments.gpu);
  out.word(arguments.strict);
  out.word(static_cast<uint64_t>(arguments.logLevel));
  out.word(static_cast<uint64_t>(arguments.logFormat));

  UniqueFd memfd(::memfd_create("vgpu-arguments", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd.valid()) return errnoError("memfd for an executor's arguments");
  const auto bytes = out.bytes();
  if (::pwrite(memfd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return errnoError("write an executor's arguments");
  }
  if (::fcntl(memfd.get(), F_ADD_SEALS, kSeals) < 0) return errnoError("seal an executor's arguments");
  return memfd;
}

Result<ExecutorArguments> decodeArguments(int memfd) {
  const std::string operation = "read the arguments from the mediator";
  const int seals = ::fcntl(memfd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return Error{operation, "not a sealed memfd"};
  struct stat status;
  if (::fstat(memfd, &status) < 0) return errnoError(operation);
  if (status.st_size < 0 || static_cast<size_t>(status.st_size) > kLargestArgumentsBytes) {
    return Error{operation, "impossible size"};
  }
  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size));
  if (::pread(memfd, bytes.data(), bytes.size(), 0) != status.st_size) return errnoError(operation);

  Decoder in(bytes);
  if (in.word() != kMagic)
    return Error{operation, "another version of vgpu-mediator started this vgpu-executor"};
  ExecutorArguments arguments;
  arguments.driverLibrary = in.text(kLongestText);
  arguments.sandbox = static_cast<SandboxProfile>(in.word(static_cast<uint64_t>(SandboxProfile::Nvidia)));
  const uint64_t paths = in.word(kMostPaths);
  for (uint64_t i = 0; i < paths && in.ok(); ++i) arguments.readablePaths.push_back(in.text(kLongestText));
  arguments.limits = decodeLimits(in);
  arguments.deviceMemoryBytes = in.word(kMostBytes);
  arguments.workers = static_cast<uint32_t>(in.word(kAny32));
  arguments.cacheBytes = in.word(kMostBytes);
  arguments.hasCacheDirectory = in.word(1) != 0;
  arguments.hasMemoryLedger = in.word(1) != 0;
  arguments.ledgerPlace = static_cast<uint32_t>(in.word(kAny32));
  arguments.gpu = in.text(kLongestText);
  arguments.strict = in.word(1) != 0;
  arguments.logLevel = static_cast<log::Level>(in.word(static_cast<uint64_t>(log::Level::Off)));
  arguments.logFormat = static_cast<LogFormat>(in.word(static_cast<uint64_t>(LogFormat::Json)));
  if (!in.atEnd()) return Error{operation, "cut short, too long, or a value out of range"};
  if (arguments.driverLibrary.empty()) return Error{operation, "no driver library is named"};
  if (const char* reason = impossibleLimit(arguments.limits)) return Error{operation, reason};
  return arguments;
}

Result<ExecutorArguments> receiveArguments() {
  for (int fd : {kControlFd, kArgumentsFd, kStatisticsFd}) {
    if (Status status = closeOnExec(fd); !status) return status.error();
  }
  Result<ExecutorArguments> arguments = decodeArguments(kArgumentsFd);
  if (arguments && arguments->hasCacheDirectory) {
    if (Status status = closeOnExec(kCacheDirectoryFd); !status) return status.error();
  }
  if (arguments && arguments->hasMemoryLedger) {
    if (Status status = closeOnExec(kMemoryLedgerFd); !status) return status.error();
  }
  return arguments;
}

}  // namespace vgpu::link
