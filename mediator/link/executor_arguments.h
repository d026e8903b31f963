// What an executor is told before it meets a guest: written by the daemon into a sealed memfd, read by the
// executor at the start of main. The values come from the configuration and from the daemon, so they are
// trusted to mean well; they are checked all the same, because daemon and executor may be of different builds
// after an upgrade. The daemon owns the memfd until exec; the executor owns its copy of the values. No guest
// byte is in here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu::link {

// The system calls that an executor may make once guest bytes arrive. Off is for debuggers; the daemon warns
// of it.
enum class SandboxProfile : uint32_t { Off, Cpu, Nvidia };

enum class LogFormat : uint32_t { Text, Json };

// Bounds of what one session may hold. Zero means "no limit of ours" only where it says so.
struct ExecutorLimits {
  uint64_t memoryBytes = 0;                  // device memory of the session; 0: what the device has
  uint64_t pinnedBytes = uint64_t{8} << 30;  // host memory in the shared mapping (cuMemAllocHost, managed)
  uint64_t windowBytes = uint64_t{4} << 20;  // the data window for pageable copies
  uint64_t spillBytes = uint64_t{256}
                        << 20;              // private copies of payloads that wait behind an unfinished event
  uint32_t outstandingSubmissions = 16384;  // decoded and not yet complete, over all streams
  uint32_t ringLines = 16384;               // 64-byte lines of the submission ring; a power of two
  uint32_t eventRingLines = 4096;           // the same towards the guest
  uint32_t guestThreads = 1024;             // reply mailboxes
  uint32_t handles = 1 << 20;               // live handles of all kinds
  uint32_t openFiles = 65536;               // RLIMIT_NOFILE: device memory is made of memfds
  uint32_t processes = 0;                   // RLIMIT_NPROC, counted per user by the kernel; 0: leave it
};

struct ExecutorArguments {
  std::string driverLibrary;  // what to dlopen: a path, or "libcuda.so.1" for NVIDIA's
  SandboxProfile sandbox = SandboxProfile::Cpu;
  std::vector<std::string>
      readablePaths;  // beside the system's libraries: what the driver must be able to read
  ExecutorLimits limits;
  uint64_t deviceMemoryBytes = 0;  // what the CPU driver's device has; 0: its default
  uint32_t workers = 0;            // threads of the CPU driver; 0: one a processor
  uint64_t cacheBytes = 0;         // bound of the compiled-code cache; 0: no cache
  bool hasCacheDirectory = false;  // kCacheDirectoryFd is open: this tenant's folder
  bool hasMemoryLedger = false;    // kMemoryLedgerFd is open: the vGPU's, of which this session has a place
  uint32_t ledgerPlace = 0;
  std::string gpu;      // the one physical GPU that the driver may see, by number; empty: all
  bool strict = false;  // every call of every session waits, whatever the guest asked for
  log::Level logLevel = log::Level::Info;
  LogFormat logFormat = LogFormat::Text;
};

// The descriptors of a freshly executed executor, besides 0 to 2.
inline constexpr int kControlFd = 3;         // to the daemon: one session comes in (session_assignment.h)
inline constexpr int kArgumentsFd = 4;       // sealed memfd with ExecutorArguments
inline constexpr int kStatisticsFd = 5;      // memfd with a StatisticsPage
inline constexpr int kCacheDirectoryFd = 6;  // only with hasCacheDirectory
inline constexpr int kMemoryLedgerFd = 7;    // only with hasMemoryLedger
inline constexpr int kFirstFreeFd = 8;

// A memfd with the arguments, sealed against change.
Result<UniqueFd> encodeArguments(const ExecutorArguments& arguments);

// Reads and checks them; fails by name on a missing seal, another version, a cut or an impossible value.
Result<ExecutorArguments> decodeArguments(int memfd);

// Takes what the daemon left in the fixed descriptors: makes them close-on-exec and decodes the arguments.
Result<ExecutorArguments> receiveArguments();

}  // namespace vgpu::link
