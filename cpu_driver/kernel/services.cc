// The services of imports.h. Generated code calls them on a worker thread, in the fibers form on a thread's
// stack. Pointers that come from the kernel are untrusted: whoever follows one counts serviceDepth, so that a
// fault there ends the launch and not the process.
#include <chrono>
#include <cstring>

#include "cpu_driver/kernel/fiber_block.h"
#include "cpu_driver/kernel/imports.h"
#include "cpu_driver/kernel/loops_block.h"
#include "cpu_driver/kernel/matrix.h"
#include "cpu_driver/kernel/running.h"

namespace vgpu::kernel {
namespace {

class FollowsPointers {
 public:
  FollowsPointers() { ++running()->serviceDepth; }
  ~FollowsPointers() { --running()->serviceDepth; }
};

const HostServices& services(const BlockContext* block) {
  static constexpr HostServices kNone{};
  return block->launch->services ? *block->launch->services : kNone;
}

// Fibers.

void barrier(ThreadContext* thread, uint32_t id, uint32_t count) {
  FiberBlock::of(thread).barrier(thread, id, count, true);
}

void barrierArrive(ThreadContext* thread, uint32_t id, uint32_t count) {
  FiberBlock::of(thread).barrier(thread, id, count, false);
}

uint32_t barrierReduce(ThreadContext* thread, uint32_t operation, uint32_t id, uint32_t count,
                       bool predicate) {
  return FiberBlock::of(thread).barrierReduce(thread, operation, id, count, predicate);
}

void warpSync(ThreadContext* thread, uint32_t mask) {
  FiberBlock::of(thread).warpOperation(thread, {WarpOperation::Sync, 0, mask, 0, 0, 0});
}

uint64_t shuffle(ThreadContext* thread, uint32_t mode, uint32_t mask, uint32_t value, uint32_t b,
                 uint32_t c) {
  return FiberBlock::of(thread).warpOperation(thread, {WarpOperation::Shuffle, mode, mask, value, b, c});
}

uint32_t vote(ThreadContext* thread, uint32_t mode, uint32_t mask, bool predicate) {
  return static_cast<uint32_t>(
      FiberBlock::of(thread).warpOperation(thread, {WarpOperation::Vote, mode, mask, predicate, 0, 0}));
}

uint32_t matchAny(ThreadContext* thread, uint32_t mask, uint64_t value) {
  return static_cast<uint32_t>(
      FiberBlock::of(thread).warpOperation(thread, {WarpOperation::MatchAny, 0, mask, value, 0, 0}));
}

uint64_t matchAll(ThreadContext* thread, uint32_t mask, uint64_t value) {
  return FiberBlock::of(thread).warpOperation(thread, {WarpOperation::MatchAll, 0, mask, value, 0, 0});
}

uint32_t redux(ThreadContext* thread, uint32_t operation, uint32_t mask, uint32_t value) {
  return static_cast<uint32_t>(
      FiberBlock::of(thread).warpOperation(thread, {WarpOperation::Redux, operation, mask, value, 0, 0}));
}

void matrix(ThreadContext* thread, uint64_t operation, MatrixRegisters* registers) {
  FiberBlock::of(thread).warpOperation(
      thread, {WarpOperation::Matrix, 0, ~0u, reinterpret_cast<uintptr_t>(registers),
               static_cast<uint32_t>(operation), static_cast<uint32_t>(operation >> 32)});
}

uint32_t activeMask(ThreadContext* thread) {
  return FiberBlock::of(thread).activeMask(thread, __builtin_return_address(0));
}

void yieldThread(ThreadContext* thread) { FiberBlock::of(thread).yield(thread); }
void exitThread(ThreadContext* thread) { FiberBlock::of(thread).exit(thread); }

// Loops: the lanes of a whole group.
void matrixTogether(uint64_t operation, MatrixRegisters* const* lanes) {
  FollowsPointers guard;
  completeMatrixOperation(MatrixOperation::unpack(operation), lanes);
}

// Both forms.

void trap(BlockContext*) { endRun(RunStatus::Trap); }

void assertFail(BlockContext* block, const char* message, const char* file, uint32_t line,
                const char* function, uint32_t linear) {
  if (const auto report = services(block).assertionFailed) {
    FollowsPointers guard;
    const Dim3& dim = block->launch->block;
    const ThreadPosition position{block->index,
                                  {linear % dim.x, linear / dim.x % dim.y, linear / dim.x / dim.y}};
    report(block->launch, {message, file, line, function}, position);
  }
  endRun(RunStatus::Assert);
}

int32_t print(BlockContext* block, const char* format, const void* arguments) {
  const auto service = services(block).print;
  if (!service) endRun(RunStatus::Unsupported);
  FollowsPointers guard;
  return service(block->launch, format, arguments);
}

void* allocate(BlockContext* block, uint64_t bytes) {
  const auto service = services(block).allocate;
  if (!service) endRun(RunStatus::Unsupported);
  return service(block->launch, bytes);
}

void release(BlockContext* block, void* address) {
  const auto service = services(block).release;
  if (!service) endRun(RunStatus::Unsupported);
  FollowsPointers guard;
  service(block->launch, address);
}

Registers4 texture(BlockContext* block, uint64_t handle, uint64_t operation, Registers4 coordinates,
                   Registers4 extra) {
  const auto service = services(block).texture;
  if (!service) endRun(RunStatus::Unsupported);
  FollowsPointers guard;
  return service(block->launch, handle, operation, coordinates, extra);
}

bool isShared(const BlockContext* block, uintptr_t address, uint64_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(block->shared);
  return address >= begin && address - begin + bytes <= block->sharedBytes;
}

// `thread` is null in the loops form, whose local memory is in the scratch area.
void checkAccess(const BlockContext* block, const ThreadContext* thread, uintptr_t address, uint64_t bytes,
                 uint32_t alignment, bool write) {
  if (isMisalignedTrap(address) || address % alignment != 0) endRun(RunStatus::Misaligned, address);
  if (isShared(block, address, bytes)) return;
  const auto local = reinterpret_cast<uintptr_t>(thread ? thread->stackBegin : block->scratch);
  const uint64_t localBytes =
      thread ? static_cast<uint64_t>(thread->stackEnd - thread->stackBegin) : block->scratchBytes;
  if (address >= local && address - local + bytes <= localBytes) return;
  const auto parameters = reinterpret_cast<uintptr_t>(block->launch->parameters);
  if (!write && address >= parameters && address - parameters < 32768) return;
  const auto service = services(block).accessible;
  if (!service || service(block->launch, address, bytes, write)) return;
  endRun(RunStatus::IllegalAddress, address);
}

uint64_t globalTimer() {
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                               std::chrono::nanoseconds(1));
}

void unsupported(BlockContext*) { endRun(RunStatus::Unsupported); }

// Library functions that LLVM's code generator calls by itself. They follow the kernel's pointers, so they
// live in a section of their own, where a fault is the kernel's; they must not call anything.
#define GENERATED_LIBRARY                                           \
  __attribute__((section("vgpu_generated_library"), noinline, used, \
                 no_sanitize("address", "undefined", "thread")))

GENERATED_LIBRARY void* copyBytes(void* to, const void* from, size_t bytes) {
  void* result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return result;
}

GENERATED_LIBRARY void* setBytes(void* to, int value, size_t bytes) {
  void* result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return result;
}

GENERATED_LIBRARY void* moveBytes(void* to, const void* from, size_t bytes) {
  auto* target = static_cast<volatile char*>(to);
  const auto* source = static_cast<const volatile char*>(from);
  if (static_cast<size_t>(target - source) < bytes) {
    while (bytes-- > 0) target[bytes] = source[bytes];
  } else {
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    return const_cast<char*>(target);
  }
  return to;
}

struct Import {
  std::string_view name;
  const void* address;
};

template <class F>
const void* address(F* function) {
  return reinterpret_cast<const void*>(function);
}

const Import* table(uint32_t& count) {
  static const Import kImports[] = {
      {"vgpu_barrier", address(barrier)},
      {"vgpu_barrier_arrive", address(barrierArrive)},
      {"vgpu_barrier_reduce", address(barrierReduce)},
      {"vgpu_warpsync", address(warpSync)},
      {"vgpu_shfl", address(shuffle)},
      {"vgpu_vote", address(vote)},
      {"vgpu_match_any", address(matchAny)},
      {"vgpu_match_all", address(matchAll)},
      {"vgpu_redux", address(redux)},
      {"vgpu_matrix", address(matrix)},
      {"vgpu_loops_matrix", address(matrixTogether)},
      {"vgpu_activemask", address(activeMask)},
      {"vgpu_yield", address(yieldThread)},
      {"vgpu_exit", address(exitThread)},
      {"vgpu_trap", address(trap)},
      {"vgpu_assertfail", address(assertFail)},
      {"vgpu_printf", address(print)},
      {"vgpu_malloc", address(allocate)},
      {"vgpu_free", address(release)},
      {"vgpu_texture", address(texture)},
      {"vgpu_check_access", address(checkAccess)},
      {"vgpu_globaltimer", address(globalTimer)},
      {"vgpu_unsupported", address(unsupported)},
      {"vgpu_loops_meet", address(loopsMeet)},
      {"vgpu_loops_release", address(loopsRelease)},
      {"memcpy", address(copyBytes)},
      {"memset", address(setBytes)},
      {"memmove", address(moveBytes)},
  };
  count = sizeof kImports / sizeof *kImports;
  return kImports;
}

}  // namespace

std::optional<uint32_t> importNumber(std::string_view name) {
  uint32_t count = 0;
  const Import* imports = table(count);
  for (uint32_t i = 0; i < count; ++i) {
    if (imports[i].name == name) return i;
  }
  return std::nullopt;
}

const void* importAddress(uint32_t number) {
  uint32_t count = 0;
  const Import* imports = table(count);
  return number < count ? imports[number].address : nullptr;
}

uint32_t importCount() {
  uint32_t count = 0;
  table(count);
  return count;
}

extern "C" {
extern const char __start_vgpu_generated_library[] __attribute__((visibility("hidden")));
extern const char __stop_vgpu_generated_library[] __attribute__((visibility("hidden")));
}

bool inGeneratedLibrary(uintptr_t address) {
  return address >= reinterpret_cast<uintptr_t>(__start_vgpu_generated_library) &&
         address < reinterpret_cast<uintptr_t>(__stop_vgpu_generated_library);
}

}  // namespace vgpu::kernel
