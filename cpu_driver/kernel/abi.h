// The ABI between generated code and the CPU driver: what code of an image sees through its pointers.
// Worker threads of the executor run the code; the driver owns LaunchContext, the runner owns blocks and
// threads. Parameters, and whatever memory a kernel reads, are untrusted: nothing here is writable by address
// arithmetic that a kernel is meant to do, and a wild store is a fault of that tenant's own process. The
// layout is part of the key of cached images: kAbiVersion changes with it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vgpu::kernel {

constexpr uint32_t kAbiVersion = 6;
constexpr uint32_t kWarpSize = 32;
constexpr uint32_t kMaxBlockThreads = 1024;
constexpr uint32_t kMaxBarriers = 16;

// Where generated code lets an access fault whose address has the wrong alignment: the last page below 2^47,
// which Linux maps to no process by itself (Documentation/arch/x86/x86_64/mm.rst, the guard hole).
constexpr uintptr_t kMisalignedPage = 0x7fff'ffff'f000;
constexpr uintptr_t kMisalignedPageBytes = 4096;
constexpr bool isMisalignedTrap(uintptr_t address) {
  return address >= kMisalignedPage && address - kMisalignedPage < kMisalignedPageBytes;
}

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
  bool operator==(const Dim3&) const = default;
};

struct LaunchContext;
struct ThreadPosition {
  Dim3 block, thread;
};

// Four 32-bit registers of a texture or surface operation, as bits.
typedef int32_t Registers4 __attribute__((vector_size(16)));

struct Assertion {
  const char* message;
  const char* file;
  uint32_t line;
  const char* function;
};

// What generated code asks of the driver. Called on worker threads, in the fibers form on a thread's small
// stack (kServiceStackBytes are left): no recursion, no large frames. Null: the operation ends the launch as
// unsupported.
struct HostServices {
  // Device printf: `arguments` is vprintf's packed buffer. Returns the number of arguments, or negative.
  int32_t (*print)(LaunchContext*, const char* format, const void* arguments);
  void (*assertionFailed)(LaunchContext*, const Assertion&, const ThreadPosition&);
  void* (*allocate)(LaunchContext*, uint64_t sizeBytes);
  void (*release)(LaunchContext*, void* address);
  // `operation` is packed by kernel/texture_operation.h's TextureOperation.
  Registers4 (*texture)(LaunchContext*, uint64_t handle, uint64_t operation, Registers4 coordinates,
                        Registers4 extra);
  // Told by the runner on its worker's own stack: for a while all that it can run has only waited for what
  // others do (true), or it goes on (false). Others need this worker's place meanwhile. Null: nobody has to
  // know.
  void (*waiting)(LaunchContext*, bool waits);
  // For images with exact checks: whether all bytes lie in one live allocation that may be accessed so.
  bool (*accessible)(LaunchContext*, uintptr_t address, uint64_t sizeBytes, bool write);
};

// One launch, shared by its workers. Filled by the driver before the first worker runs, alive until the last
// returns.
struct LaunchContext {
  const std::byte* parameters =
      nullptr;                     // the parameter block, laid out as the PTX entry declares, 16-byte aligned
  void* const* symbols = nullptr;  // addresses of the module's .global and .const variables, by index
  Dim3 grid;
  Dim3 block;
  uint32_t dynamicSharedBytes = 0;
  uint32_t multiprocessors = 1;
  uint64_t gridId = 0;
  uint64_t gridWorkspace =
      0;  // of a cooperative launch the address of workspaceWords, else 0: %envreg1 and 2
  uintptr_t constantBegin = 0;  // the module's .const bank, for isspacep.const
  uintptr_t constantEnd = 0;
  uint32_t cooperative = 0;      // all blocks are resident at once: a worker takes another before it waits
  uint32_t fiberStackBytes = 0;  // wanted beside what the image needs; 0: the default

  const HostServices* services = nullptr;
  void* driver = nullptr;  // the driver's own, for its services

  // Progress, written by the runners. Blocks are taken in the order of their linear index (x fastest).
  uint64_t blockCount = 0;  // set with prepare()
  bool alone = false;       // one runner runs them all
  alignas(64) std::atomic<uint64_t> nextBlock{0};
  std::atomic<uint32_t> stopped{0};  // nonzero once a block faulted or the driver gave the launch up
  std::atomic<uint32_t> residentBlocks{0};
  // What cooperative groups use for the barrier of a grid: its size in bytes, the count of arrivals.
  alignas(64) uint32_t workspaceWords[2] = {8, 0};

  void prepare() {
    blockCount = grid.count();
    nextBlock.store(0, std::memory_order_relaxed);
    stopped.store(0, std::memory_order_relaxed);
    residentBlocks.store(0, std::memory_order_relaxed);
    workspaceWords[1] = 0;
    gridWorkspace = cooperative ? reinterpret_cast<uintptr_t>(workspaceWords) : 0;
  }
};

// One resident block.
struct BlockContext {
  LaunchContext* launch = nullptr;
  std::byte* shared = nullptr;  // static, then dynamic shared memory, kSharedAlignment aligned
  std::byte* scratch =
      nullptr;  // the loops form's values of threads between regions; null in the fibers form
  Dim3 index;
  uint32_t multiprocessor = 0;
  uint32_t sharedBytes = 0;
  uint32_t scratchBytes = 0;
  void* runner = nullptr;  // the runner's own
};

// One thread in the fibers form. Every translated function has a pointer to it as its first argument.
struct ThreadContext {
  BlockContext* block = nullptr;
  LaunchContext* launch = nullptr;
  Dim3 index;
  uint32_t lane = 0;
  uint32_t warp = 0;
  uint32_t linear = 0;
  std::byte* stackBegin = nullptr;  // local memory lies on the thread's stack
  std::byte* stackEnd = nullptr;
};

constexpr uint32_t kSharedAlignment = 1024;
constexpr uint32_t kServiceStackBytes = 32 * 1024;

}  // namespace vgpu::kernel
