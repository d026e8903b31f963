#include "cpu_driver/runtime/launch_job.h"

namespace vgpu::cpu {

bool LaunchJob::join() {
  if (launch_.nextBlock.load(std::memory_order_relaxed) >= launch_.blockCount) return false;
  if (launch_.stopped.load(std::memory_order_relaxed) != 0) return false;
  unsigned participants = participants_.load(std::memory_order_relaxed);
  while (participants != 0) {
    if (participants_.compare_exchange_weak(participants, participants + 1, std::memory_order_acq_rel))
      return true;
  }
  return false;
}

bool LaunchJob::runBlocks(kernel::Runner& runner) {
  const kernel::RunOutcome outcome = runner.run(*image_, launch_);
  if (outcome.status != kernel::RunStatus::Done && outcome.status != kernel::RunStatus::Stopped) {
    kernel::RunStatus none = kernel::RunStatus::Done;
    status_.compare_exchange_strong(none, outcome.status);
    launch_.stopped.store(1, std::memory_order_release);
  }
  return leave();
}

void LaunchJob::runAsHelper(Execution& execution) {
  if (runBlocks(*execution.slot())) stream_->resumeHere(execution);
}

}  // namespace vgpu::cpu
