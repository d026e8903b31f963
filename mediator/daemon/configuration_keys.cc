#include "mediator/daemon/configuration.h"

namespace vgpu::daemon {
namespace {

using Value = const ConfigurationValue&;
constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kKiB = uint64_t{1} << 10;

uint32_t small(Value value) { return static_cast<uint32_t>(value.number); }

// clang-format off
constexpr ConfigurationKey kKeys[] = {
    {"endpoints", KeyType::EndpointList, "unix:/run/vgpu/mediator.sock", 0, 0, "", false,
     "Where guests connect: unix:PATH (memory is shared where the guest can, bytes are streamed otherwise) or tcp:HOST:PORT.",
     [](Configuration& c, Value v) { c.endpoints = v.list; }},
    {"socket_mode", KeyType::Mode, "0666", 0, 0777, "", false,
     "Mode bits of the unix sockets. Who may connect may use the device; the default is that of NVIDIA's device nodes.",
     [](Configuration& c, Value v) { c.socketMode = small(v); }},
    {"allow_plain_tcp", KeyType::Boolean, "false", 0, 1, "", false,
     "Allow tcp: endpoints on other addresses than loopback. What travels there is neither encrypted nor authenticated.",
     [](Configuration& c, Value v) { c.allowPlainTcp = v.number != 0; }},

    {"sessions.max", KeyType::Integer, "256", 1, 4096, "", true,
     "Guest processes served at once. Each has an executor process.",
     [](Configuration& c, Value v) { c.mostSessions = small(v); }},
    {"sessions.memory", KeyType::Bytes, "0", 0, kTiB, "", true,
     "Device memory that one session may hold. 0: what the device has.",
     [](Configuration& c, Value v) { c.limits.memoryBytes = v.number; }},
    {"sessions.pinned_memory", KeyType::Bytes, "8GiB", kMiB, kTiB, "", true,
     "Pinned and managed host memory that one session may hold.",
     [](Configuration& c, Value v) { c.limits.pinnedBytes = v.number; }},
    {"sessions.window", KeyType::Bytes, "4MiB", 256 * kKiB, kGiB, "", true,
     "The shared window through which pageable memory is copied. One that stays in the processor's cache is fastest.",
     [](Configuration& c, Value v) { c.limits.windowBytes = v.number; }},
    {"sessions.spill", KeyType::Bytes, "256MiB", kMiB, kTiB, "", true,
     "Private copies of payloads that wait behind an unfinished event, a session.",
     [](Configuration& c, Value v) { c.limits.spillBytes = v.number; }},
    {"sessions.outstanding", KeyType::Integer, "16384", 1, 1 << 24, "", true,
     "Submissions of one session that may be on their way to the device at once; more wait.",
     [](Configuration& c, Value v) { c.limits.outstandingSubmissions = small(v); }},
    {"sessions.ring_lines", KeyType::Integer, "16384", 4096, 1 << 20, "", true,
     "Lines of 64 bytes in the submission ring. A power of two.",
     [](Configuration& c, Value v) { c.limits.ringLines = small(v); }},
    {"sessions.event_ring_lines", KeyType::Integer, "4096", 256, 1 << 20, "", true,
     "Lines of 64 bytes in the ring towards the guest (printf text, host functions). A power of two.",
     [](Configuration& c, Value v) { c.limits.eventRingLines = small(v); }},
    {"sessions.guest_threads", KeyType::Integer, "1024", 1, 65536, "", true,
     "Threads of one guest process that may call CUDA.",
     [](Configuration& c, Value v) { c.limits.guestThreads = small(v); }},
    {"sessions.handles", KeyType::Integer, "1048576", 1024, 1 << 24, "", true,
     "Streams, events, modules and other objects that one session may hold.",
     [](Configuration& c, Value v) { c.limits.handles = small(v); }},
    {"sessions.open_files", KeyType::Integer, "65536", 256, 1 << 20, "", true,
     "Open files of an executor. The CPU driver makes device memory of files in memory.",
     [](Configuration& c, Value v) { c.limits.openFiles = small(v); }},
    {"sessions.processes", KeyType::Integer, "0", 0, 1 << 22, "", true,
     "Bound on threads, which the kernel counts over all processes of the executor's user. 0: none of ours.",
     [](Configuration& c, Value v) { c.limits.processes = small(v); }},
    {"sessions.strict", KeyType::Boolean, "false", 0, 1, "", true,
     "Make every call wait for its outcome, as VGPU_STRICT=1 does in a guest. For finding faults; slow.",
     [](Configuration& c, Value v) { c.strict = v.number != 0; }},

    {"vgpus.directory", KeyType::AbsolutePath, "/run/vgpu/gpus", 0, 0, "", false,
     "Each vGPU has a folder here, with its socket `vgpu.sock`: who is given that folder has that vGPU.",
     [](Configuration& c, Value v) { c.vgpuDirectory = v.text; }},
    {"vgpus.slices", KeyType::SliceList, "", 0, 0, "", true,
     "The vGPUs: slices of physical GPUs, see below.",
     [](Configuration& c, Value v) { c.vgpus = v.slices; }},

    {"executor.program", KeyType::AbsolutePath, "", 0, 0, "", true,
     "The vgpu-executor to start. Empty: the one beside vgpu-mediator.",
     [](Configuration& c, Value v) { c.executorProgram = v.text; }},
    {"executor.driver", KeyType::Text, "auto", 0, 0, "", true,
     "What computes: nvidia (libcuda.so.1 of the host), cpu (our CPU driver), a path to a libcuda, or auto: nvidia where /dev/nvidiactl exists, else cpu.",
     [](Configuration& c, Value v) { c.driver = v.text; }},
    {"executor.sandbox", KeyType::Choice, "auto", 0, 0, "auto cpu nvidia off", true,
     "System calls that an executor may make. auto: those of its driver. off: all; for debuggers only.",
     [](Configuration& c, Value v) { c.sandbox = v.text; }},
    {"executor.prestart", KeyType::Boolean, "true", 0, 1, "", true,
     "Keep one executor started ahead of the next guest, so that a session begins faster.",
     [](Configuration& c, Value v) { c.prestart = v.number != 0; }},
    {"executor.workers", KeyType::Integer, "0", 0, 4096, "", true,
     "Threads with which the CPU driver computes. 0: one a processor.",
     [](Configuration& c, Value v) { c.workers = small(v); }},
    {"executor.device_memory", KeyType::Bytes, "0", 0, 128 * kTiB, "", true,
     "Memory that the CPU driver's device has. 0: its default.",
     [](Configuration& c, Value v) { c.deviceMemoryBytes = v.number; }},
    {"executor.readable_paths", KeyType::TextList, "", 0, 0, "", true,
     "Files and folders that an executor may read beside the system's libraries and its driver's folder.",
     [](Configuration& c, Value v) { c.readablePaths = v.list; }},

    {"cache.directory", KeyType::AbsolutePath, "/var/cache/vgpu", 0, 0, "", true,
     "Where compiled kernels are kept, a folder a tenant. Safe to delete at any time. Empty: nowhere.",
     [](Configuration& c, Value v) { c.cacheDirectory = v.text; }},
    {"cache.size", KeyType::Bytes, "1GiB", 0, 128 * kTiB, "", true,
     "Bound of one tenant's cache. 0: no cache.",
     [](Configuration& c, Value v) { c.cacheBytes = v.number; }},

    {"drain.wait", KeyType::Duration, "30s", 0, 24 * 3600 * 1000, "", true,
     "How long sessions may go on after SIGTERM before they are ended.",
     [](Configuration& c, Value v) { c.drainWait = std::chrono::milliseconds(v.number); }},

    {"control.socket", KeyType::AbsolutePath, "/run/vgpu/control.sock", 0, 0, "", false,
     "The control API (gRPC over a unix socket, for the daemon's own user only). Empty: none.",
     [](Configuration& c, Value v) { c.controlSocket = v.text; }},
    {"metrics.address", KeyType::Text, "127.0.0.1:9400", 0, 0, "", false,
     "Where /metrics is served over HTTP, as HOST:PORT, or off.",
     [](Configuration& c, Value v) { c.metricsAddress = v.text; }},

    {"log.level", KeyType::Choice, "info", 0, 0, "debug info warning error off", true,
     "What is logged, to stderr.",
     [](Configuration& c, Value v) { c.logLevel = log::levelFromName(v.text); }},
    {"log.format", KeyType::Choice, "text", 0, 0, "text json", true,
     "text: a line for people. json: an object a line.",
     [](Configuration& c, Value v) { c.logFormat = v.text == "json" ? link::LogFormat::Json : link::LogFormat::Text; }},
};
// clang-format on

}  // namespace

std::span<const ConfigurationKey> configurationKeys() { return kKeys; }

}  // namespace vgpu::daemon
