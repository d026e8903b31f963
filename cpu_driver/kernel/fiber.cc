#include "cpu_driver/kernel/fiber.h"

#include <sys/mman.h>

#include <algorithm>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VGPU_ASAN_FIBERS 1
#include <sanitizer/common_interface_defs.h>
#endif
#if __has_feature(thread_sanitizer)
#define VGPU_TSAN_FIBERS 1
#include <sanitizer/tsan_interface.h>
#endif
#endif
#if defined(VGPU_ASAN_FIBERS)
#include <pthread.h>
#endif

extern "C" {
void vgpuFiberSwitch(void** save, void* to);
void vgpuFiberStart(void** save, void* stackTop, void (*body)(void*), void* argument);
}

namespace vgpu::kernel {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kStacksAtOnce = 32;  // a warp's

void beforeSwitch(FiberPoint* from, const FiberStack& to) {
#if defined(VGPU_ASAN_FIBERS)
  __sanitizer_start_switch_fiber(from ? &from->fakeStack : nullptr, to.begin,
                                 static_cast<size_t>(to.end - to.begin));
#elif defined(VGPU_TSAN_FIBERS)
  __tsan_switch_to_fiber(to.sanitizerFiber, 0);
#endif
  (void)from, (void)to;
}

void afterSwitch(FiberPoint* arrived) {
#if defined(VGPU_ASAN_FIBERS)
  __sanitizer_finish_switch_fiber(arrived ? arrived->fakeStack : nullptr, nullptr, nullptr);
#endif
  (void)arrived;
}

}  // namespace

FiberPoint workerPoint() {
  FiberPoint point;
#if defined(VGPU_ASAN_FIBERS)
  pthread_attr_t attributes;
  void* begin = nullptr;
  size_t bytes = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &begin, &bytes);
    pthread_attr_destroy(&attributes);
  }
  point.stack.begin = static_cast<std::byte*>(begin);
  point.stack.end = point.stack.begin + bytes;
#elif defined(VGPU_TSAN_FIBERS)
  point.stack.sanitizerFiber = __tsan_get_current_fiber();
#endif
  return point;
}

void switchFiber(FiberPoint& from, FiberPoint& to) {
  beforeSwitch(&from, to.stack);
  vgpuFiberSwitch(&from.stackPointer, to.stackPointer);
  afterSwitch(&from);
}

void startFiber(FiberPoint& from, const FiberStack& stack, void (*body)(void*), void* argument) {
  beforeSwitch(&from, stack);
  vgpuFiberStart(&from.stackPointer, stack.end, body, argument);
  afterSwitch(&from);
}

void restartFiber(const FiberStack& stack, void (*body)(void*), void* argument) {
  void* forgotten = nullptr;
  vgpuFiberStart(&forgotten, stack.end, body, argument);
  __builtin_unreachable();
}

void fiberStarted() { afterSwitch(nullptr); }

FiberStackPool::~FiberStackPool() {
#if defined(VGPU_TSAN_FIBERS)
  for (const FiberStack& stack : all_) __tsan_destroy_fiber(stack.sanitizerFiber);
#endif
}

void FiberStackPool::setStackBytes(size_t bytes) {
  bytes = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (bytes <= stackBytes_ && stackBytes_ <= 4 * bytes) return;
#if defined(VGPU_TSAN_FIBERS)
  for (const FiberStack& stack : all_) __tsan_destroy_fiber(stack.sanitizerFiber);
#endif
  all_.clear();
  free_.clear();
  regions_.clear();
  stackBytes_ = bytes;
}

bool FiberStackPool::grow() {
  const size_t pitch = stackBytes_ + kPageBytes;
  void* memory = mmap(nullptr, pitch * kStacksAtOnce, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return false;
  Mapping region(memory, pitch * kStacksAtOnce);
  for (size_t i = 0; i < kStacksAtOnce; ++i) {
    if (mprotect(region.data() + i * pitch, kPageBytes, PROT_NONE) != 0) return false;
  }
  for (size_t i = kStacksAtOnce; i-- > 0;) {
    std::byte* guard = region.data() + i * pitch;
    FiberStack stack{guard + kPageBytes, guard + pitch, nullptr};
#if defined(VGPU_TSAN_FIBERS)
    stack.sanitizerFiber = __tsan_create_fiber(0);
#endif
    all_.push_back(stack);
    free_.push_back(stack);
  }
  regions_.push_back(std::move(region));
  return true;
}

FiberStack FiberStackPool::take() {
  if (free_.empty() && !grow()) return {};
  const FiberStack stack = free_.back();
  free_.pop_back();
  return stack;
}

void FiberStackPool::takeAllBack() { free_ = all_; }

bool FiberStackPool::inGuard(uintptr_t address) const {
  for (const Mapping& region : regions_) {
    const auto begin = reinterpret_cast<uintptr_t>(region.data());
    if (address < begin || address >= begin + region.sizeBytes()) continue;
    return (address - begin) % (stackBytes_ + kPageBytes) < kPageBytes;
  }
  return false;
}

}  // namespace vgpu::kernel
