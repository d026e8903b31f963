// Stacks and the switch between them, for threads of a block that run as fibers. Used by one worker thread
// alone. A FiberStackPool owns its stacks: each is touched lazily and has a guard page below it. x86-64,
// System V. Sanitizers are told of every switch (address and thread sanitizer follow fibers only when told).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/mapping.h"

namespace vgpu::kernel {

struct FiberStack {
  std::byte* begin = nullptr;  // lowest usable address
  std::byte* end = nullptr;
  void* sanitizerFiber = nullptr;
};

// Where a suspended flow of control goes on.
struct FiberPoint {
  void* stackPointer = nullptr;
  void* fakeStack = nullptr;  // address sanitizer's
  FiberStack stack;           // the stack that it runs on; the worker's own for the scheduler
};

// The worker's own stack, as a point to return to.
FiberPoint workerPoint();
// Leaves `from` and goes on at `to`. Returns when somebody switches back.
void switchFiber(FiberPoint& from, FiberPoint& to);
// Leaves `from` and calls body(argument), which must not return, at the top of `stack`.
void startFiber(FiberPoint& from, const FiberStack& stack, void (*body)(void*), void* argument);
// Calls body(argument) at the top of the stack that is running, forgetting all its frames.
[[noreturn]] void restartFiber(const FiberStack& stack, void (*body)(void*), void* argument);
// The first thing that a started body does.
void fiberStarted();

class FiberStackPool {
 public:
  ~FiberStackPool();
  // Stacks of at least this size from now on; those of another size are unmapped. Only while none is taken.
  void setStackBytes(size_t bytes);
  // An empty stack (begin == nullptr) when memory or mappings ran out. Most recently returned first: it is in
  // cache.
  FiberStack take();
  void give(FiberStack stack) { free_.push_back(stack); }
  // All stacks are free again: what ran on them was abandoned.
  void takeAllBack();
  bool inGuard(uintptr_t address) const;

 private:
  bool grow();
  size_t stackBytes_ = 0;
  std::vector<FiberStack> all_, free_;
  std::vector<Mapping> regions_;
};

}  // namespace vgpu::kernel
