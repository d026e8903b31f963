#include "cpu_driver/runtime/kernel_work.h"

#include "base/clock.h"
#include "base/log.h"
#include "cpu_driver/runtime/configuration.h"
#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/worker_pool.h"

namespace vgpu::cpu {
namespace {

// Waking a thread costs a few microseconds; less work than this is done sooner by one.
constexpr uint64_t kShareFromNanoseconds = 20'000;
// Unknown kernels: this many threads take about as long.
constexpr uint64_t kShareFromThreads = 8192;

int64_t nanosecondsNow() { return now().time_since_epoch().count(); }

// Each thread takes a range of numbers at a time.
uint64_t nextGridId() {
  constexpr uint64_t kRange = 1024;
  static std::atomic<uint64_t> ranges{0};
  thread_local uint64_t next = 0;
  if (next % kRange == 0) next = ranges.fetch_add(1, std::memory_order_relaxed) * kRange;
  return ++next;
}

CUresult errorOf(kernel::RunStatus status) {
  switch (status) {
    case kernel::RunStatus::Done:
    case kernel::RunStatus::Stopped:
      return CUDA_SUCCESS;
    case kernel::RunStatus::IllegalAddress:
    case kernel::RunStatus::StackOverflow:
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    case kernel::RunStatus::Misaligned:
      return CUDA_ERROR_MISALIGNED_ADDRESS;
    case kernel::RunStatus::Assert:
      return CUDA_ERROR_ASSERT;
    case kernel::RunStatus::IllegalInstruction:
      return CUDA_ERROR_ILLEGAL_INSTRUCTION;
    case kernel::RunStatus::OutOfMemory:
      return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    case kernel::RunStatus::Unsupported:
      return CUDA_ERROR_NOT_SUPPORTED;
    case kernel::RunStatus::Trap:
    case kernel::RunStatus::Deadlock:
      return CUDA_ERROR_LAUNCH_FAILED;
  }
  return CUDA_ERROR_LAUNCH_FAILED;
}

}  // namespace

void LaunchRequest::prepare(kernel::LaunchContext& launch, Context& context,
                            const kernel::LoadedImage& image) {
  launch.parameters = parameters();
  launch.symbols = module->symbols();
  launch.grid = grid;
  launch.block = block;
  launch.dynamicSharedBytes = dynamicSharedBytes;
  launch.multiprocessors = configuration().multiprocessors;
  launch.gridId = nextGridId();
  launch.constantBegin = module->constantBegin();
  launch.constantEnd = module->constantEnd();
  launch.cooperative = cooperative ? 1 : 0;
  if (image.form() == kernel::Form::Fibers) {
    size_t stackBytes = 0;
    context.limit(CU_LIMIT_STACK_SIZE, &stackBytes);
    launch.fiberStackBytes = static_cast<uint32_t>(stackBytes);
  }
  launch.services = &hostServices();
  launch.driver = &context;
  launch.prepare();
}

void concludeLaunch(Context& context, const KernelCode& code, kernel::RunStatus status) {
  context.output().deliver();
  const CUresult error = errorOf(status);
  if (error == CUDA_SUCCESS) return;
  log::info("cpu driver: a kernel failed",
            {{"kernel", code.name()}, {"outcome", kernel::runStatusName(status)}});
  context.fail(error);
}

KernelWork::KernelWork(const LaunchRequest& request) : request_(request) {}

bool KernelWork::imageReady(Stream&) {
  return request_.variant->state.load(std::memory_order_acquire) == KernelCode::State::Ready;
}

Step KernelWork::run(Execution& execution, Stream& stream) {
  if (job_) {
    finish(stream, job_->status(), nanosecondsNow() - job_->startedNanoseconds);
    return Step::Done;
  }
  while (!imageReady(stream)) {
    KernelCode::Variant& variant = *request_.variant;
    if (variant.state.load(std::memory_order_acquire) == KernelCode::State::Failed) {
      request_.code->explain(stream.context().output(), variant.failure);
      stream.context().fail(variant.failure.code);
      return Step::Done;
    }
    const auto code = request_.code;
    const auto kept = request_.variant;
    code->make(kept);
    execution.releaseSlot();
    stream.handOn();
    if (code->resumeWhenMade(*kept, stream.shared_from_this())) return Step::Blocked;
    stream.takeBack();
  }
  // A slot given up for the compilation may be taken now.
  if (!execution.slot()) {
    const auto self = stream.shared_from_this();
    stream.handOn();
    self->resume();
    return Step::Blocked;
  }
  if (worthSharing(execution)) return runShared(execution, stream);
  runAlone(execution, stream);
  return Step::Done;
}

Step KernelWork::abandon(Execution&, Stream& stream) {
  if (job_) finish(stream, job_->status(), nanosecondsNow() - job_->startedNanoseconds);
  return Step::Done;
}

bool KernelWork::worthSharing(Execution& execution) const {
  const uint64_t blocks = request_.grid.count();
  if (blocks < 2 || execution.pool().slots() < 2) return false;
  const uint64_t perBlock = request_.variant->nanosecondsPerBlock.load(std::memory_order_relaxed);
  if (perBlock == 0) return blocks * request_.block.count() >= kShareFromThreads;
  return blocks * perBlock >= kShareFromNanoseconds;
}

void KernelWork::runAlone(Execution& execution, Stream& stream) {
  kernel::LaunchContext launch;
  request_.prepare(launch, stream.context(), *request_.variant->image);
  launch.alone = true;
  const int64_t start = nanosecondsNow();
  const kernel::RunOutcome outcome = execution.slot()->run(*request_.variant->image, launch);
  finish(stream, outcome.status, nanosecondsNow() - start);
}

Step KernelWork::runShared(Execution& execution, Stream& stream) {
  const auto job = std::make_shared<LaunchJob>(stream.shared_from_this(), request_.variant->image);
  request_.prepare(job->launch(), stream.context(), *request_.variant->image);
  job->startedNanoseconds = nanosecondsNow();
  job_ = job;
  stream.handOn();
  execution.pool().publish(job);
  // The pool outlives every job; nothing of this work may be touched once another thread may be the last to
  // leave.
  WorkerPool& pool = execution.pool();
  kernel::Runner& runner = *execution.slot();
  const LaunchJob* published = job.get();
  if (!job->runBlocks(runner)) {
    pool.withdraw(published);
    return Step::Blocked;
  }
  pool.withdraw(published);
  stream.takeBack();
  finish(stream, job->status(), nanosecondsNow() - job->startedNanoseconds);
  return Step::Done;
}

void KernelWork::finish(Stream& stream, kernel::RunStatus status, int64_t nanoseconds) {
  concludeLaunch(stream.context(), *request_.code, status);
  if (status != kernel::RunStatus::Done) return;
  const uint64_t workers = job_ ? stream.context().pool().slots() : 1;
  const uint64_t perBlock =
      static_cast<uint64_t>(nanoseconds) * workers / std::max<uint64_t>(1, request_.grid.count());
  request_.variant->nanosecondsPerBlock.store(std::max<uint64_t>(1, perBlock), std::memory_order_relaxed);
}

}  // namespace vgpu::cpu
