#include "cpu_driver/runtime/inline_launch.h"

#include "cpu_driver/kernel/fault.h"
#include "cpu_driver/runtime/context.h"

namespace vgpu::cpu {
namespace {

// At about an instruction of a thread a nanosecond, at worst: longer and a thread that calls would hold up
// other streams.
constexpr uint64_t kMostSteps = 32768;
// As last measured. Queueing a launch and running it elsewhere takes about a microsecond.
constexpr uint64_t kMostNanoseconds = 2000;

bool endsSoon(const KernelCode::Variant& variant, const LaunchRequest& request) {
  const uint64_t steps = variant.image->header().steps;
  if (steps == 0 || variant.image->form() != kernel::Form::Loops) return false;
  const uint64_t blocks = request.grid.count();
  if (blocks > kMostSteps || blocks * request.block.count() * steps > kMostSteps) return false;
  const uint64_t perBlock = variant.nanosecondsPerBlock.load(std::memory_order_relaxed);
  return perBlock != 0 && perBlock * blocks <= kMostNanoseconds;
}

// The calling thread's own; it takes no slot of the pool, which long kernels may fill.
kernel::Runner& ownRunner() {
  struct Own {
    kernel::Runner runner{0};
    Own() { kernel::ensureSignalStack(); }
  };
  thread_local Own own;
  return own.runner;
}

}  // namespace

bool runInline(Stream& stream, const Function& function, LaunchRequest& request) {
  if (request.cooperative || stream.context().hasFailed()) return false;
  const KernelCode::Variant* variant = function.code().readyVariant(request.block);
  if (!variant || !endsSoon(*variant, request)) return false;
  return stream.runAtOnce([&] {
    kernel::LaunchContext launch;
    request.prepare(launch, stream.context(), *variant->image);
    launch.alone = true;
    const kernel::RunOutcome outcome = ownRunner().run(*variant->image, launch);
    if (outcome.status != kernel::RunStatus::Done)
      concludeLaunch(stream.context(), function.code(), outcome.status);
  });
}

}  // namespace vgpu::cpu
