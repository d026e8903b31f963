#include "cpu_driver/runtime/kernel_code.h"

#include <algorithm>

#include "base/log.h"
#include "cpu_driver/runtime/image_maker.h"
#include "cpu_driver/runtime/output.h"
#include "cpu_driver/runtime/side_threads.h"
#include "cpu_driver/runtime/stream.h"

namespace vgpu::cpu {
namespace {

constexpr unsigned kMostThreads = 1024;

unsigned mostThreadsOf(const ptx::Directives& directives) {
  for (const uint32_t(*limit)[3] : {&directives.requiredThreads, &directives.maxThreads}) {
    if ((*limit)[0] == 0) continue;
    const uint64_t threads = uint64_t{(*limit)[0]} * std::max(1u, (*limit)[1]) * std::max(1u, (*limit)[2]);
    return static_cast<unsigned>(std::min<uint64_t>(threads, kMostThreads));
  }
  return kMostThreads;
}

}  // namespace

const kernel::Digest& ModuleDigest::get() {
  std::call_once(once_, [this] { digest_ = kernel::digestOf(module_->text()); });
  return digest_;
}

KernelCode::KernelCode(std::shared_ptr<const ptx::Module> module, std::shared_ptr<ModuleDigest> digest,
                       uint32_t function)
    : module_(std::move(module)),
      digest_(std::move(digest)),
      function_(function),
      name_(module_->functions()[function].name) {
  const ptx::Function& declared = module_->functions()[function];
  directives_ = declared.directives;
  parameterBytes_ = declared.parameterBytes;
  mostThreads_ = mostThreadsOf(directives_);
  for (const ptx::Variable& parameter : declared.parameters) {
    parameters_.push_back({parameter.offset, parameter.sizeBytes});
  }
}

void KernelCode::resolveOnce() {
  std::call_once(resolved_, [this] {
    auto resources = module_->resources(function_);
    if (const auto* diagnostic = std::get_if<ptx::Diagnostic>(&resources)) {
      failure_ = {CUDA_ERROR_INVALID_PTX, diagnostic->message()};
    } else {
      resources_ = std::move(std::get<ptx::Resources>(resources));
      std::vector<uint32_t> reached = resources_.functions;
      reached.push_back(function_);
      for (const uint32_t function : reached) {
        const auto body = module_->body(function);
        const auto* parsed = std::get_if<const ptx::Body*>(&body);
        if (!parsed || !*parsed || !(*parsed)->unsupported) continue;
        const ptx::Unsupported& unsupported = *(*parsed)->unsupported;
        failure_ = {CUDA_ERROR_NOT_SUPPORTED,
                    "ptx, line " + std::to_string(unsupported.line) + ": not supported: " + unsupported.what};
        break;
      }
    }
    if (failure_.code != CUDA_SUCCESS) {
      log::info("cpu driver: a kernel cannot be used", {{"kernel", name_}, {"reason", failure_.log}});
    }
    isResolved_.store(true, std::memory_order_release);
  });
}

void KernelCode::explain(Output& output, const Failure& failure) {
  std::call_once(explained_, [&] {
    output.write(2, "vgpu: the kernel " + name_ + " cannot run: " + failure.log + "\n");
    output.deliver();
  });
}

const ptx::Resources& KernelCode::resources() {
  resolve();
  return resources_;
}

std::shared_ptr<KernelCode::Variant> KernelCode::variant(kernel::Dim3 block) {
  std::lock_guard lock(mutex_);
  for (const auto& variant : variants_)
    if (variant->block == block) return variant;
  if (variants_.size() >= kMostVariants) {
    block = {0, 0, 0};
    for (const auto& variant : variants_)
      if (variant->block == block) return variant;
  }
  auto variant = std::make_shared<Variant>();
  variant->block = block;
  if (variants_.size() < special_.size())
    special_[variants_.size()].store(variant.get(), std::memory_order_release);
  variants_.push_back(variant);
  return variant;
}

KernelCode::Variant* KernelCode::readyVariant(kernel::Dim3 block) const {
  for (const auto& slot : special_) {
    Variant* const variant = slot.load(std::memory_order_acquire);
    if (!variant) break;
    if (variant->block == block)
      return variant->state.load(std::memory_order_acquire) == State::Ready ? variant : nullptr;
  }
  return nullptr;
}

bool KernelCode::resumeWhenMade(Variant& variant, std::shared_ptr<Stream> stream) {
  std::lock_guard lock(mutex_);
  const State state = variant.state.load(std::memory_order_acquire);
  if (state == State::Ready || state == State::Failed) return false;
  variant.waiters.push_back(std::move(stream));
  return true;
}

void KernelCode::make(const std::shared_ptr<Variant>& variant) {
  State absent = State::Absent;
  if (!variant->state.compare_exchange_strong(absent, State::Compiling)) return;
  runOnCompileThread([self = shared_from_this(), variant] {
    variant->failure = makeImage(*self, self->digest_->get(), variant->block, &variant->image);
    if (variant->failure.code != CUDA_SUCCESS) {
      log::info("cpu driver: a kernel does not compile",
                {{"kernel", self->name_}, {"reason", variant->failure.log}});
    }
    self->finish(*variant, variant->failure.code == CUDA_SUCCESS ? State::Ready : State::Failed);
  });
}

void KernelCode::finish(Variant& variant, State state) {
  std::vector<std::shared_ptr<Stream>> waiters;
  {
    std::lock_guard lock(mutex_);
    variant.state.store(state, std::memory_order_release);
    waiters.swap(variant.waiters);
  }
  for (const auto& stream : waiters) stream->resume();
}

const Failure& KernelCode::load() {
  const Failure& failure = resolve();
  if (failure.code == CUDA_SUCCESS) loadedAhead_ = true;
  return failure;
}

bool KernelCode::isLoaded() {
  if (loadedAhead_) return true;
  std::lock_guard lock(mutex_);
  return std::any_of(variants_.begin(), variants_.end(),
                     [](const auto& variant) { return variant->state.load() == State::Ready; });
}

}  // namespace vgpu::cpu
