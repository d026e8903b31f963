#include "cpu_driver/runtime/driver.h"

#include <pthread.h>

#include "base/log.h"
#include "cpu_driver/runtime/configuration.h"
#include "cpu_driver/runtime/fault_handler.h"
#include "cpu_driver/runtime/thread_state.h"

namespace vgpu::cpu {
namespace {

std::atomic<CUresult> outcome{CUDA_SUCCESS};
std::mutex initialisation;

void inForkedChild() {
  // No thread of the driver came along.
  theDriver.store(nullptr);
  outcome.store(CUDA_ERROR_NOT_INITIALIZED);
}

CUresult start() {
  auto arena = Arena::create();
  if (!arena) {
    log::error("cpu driver: no memory for the device", {{"reason", arena.error().message()}});
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  installFaultHandlers();
  ::pthread_atfork(nullptr, nullptr, inForkedChild);
  theDriver.store(new Driver(std::move(*arena)), std::memory_order_release);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult initialise() {
  if (theDriver.load(std::memory_order_acquire)) return CUDA_SUCCESS;
  std::lock_guard lock(initialisation);
  if (theDriver.load(std::memory_order_acquire) || outcome.load() != CUDA_SUCCESS) return outcome.load();
  const CUresult result = start();
  outcome.store(result);
  return result;
}

Driver::Driver(std::unique_ptr<Arena> arena)
    : pool_(configuration().workers),
      memory_(std::move(arena), configuration().deviceMemoryBytes),
      virtualMemory_(memory_),
      pools_(memory_) {}

CUcontext Driver::insertContext(unsigned flags, bool primary) {
  auto context = std::make_shared<Context>(pool_, flags, primary);
  Context& made = *context;
  const CUcontext handle = contexts_.insert(std::move(context));
  made.setHandle(handle);
  return handle;
}

CUcontext Driver::createContext(unsigned flags) { return insertContext(flags, false); }

void Driver::endContext(std::shared_ptr<Context> context) {
  context->shutDown();
  streams.removeIf([&](const Stream& stream) { return &stream.context() == context.get(); });
  events.removeIf([&](const Event& event) { return &event.context() == context.get(); });
  memory_.releaseAll(context->handle());
  std::lock_guard lock(mutex_);
  shells_.push_back(std::move(context));
}

CUresult Driver::destroyContext(CUcontext handle) {
  Context* context = contexts_.find(handle);
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  if (context->primary()) return CUDA_ERROR_INVALID_CONTEXT;
  auto ended = contexts_.remove(handle);
  if (!ended) return CUDA_ERROR_INVALID_CONTEXT;
  endContext(std::move(ended));
  return CUDA_SUCCESS;
}

CUresult Driver::retainPrimary(CUcontext* handle) {
  std::lock_guard lock(mutex_);
  if (!primary_) primary_ = insertContext(primaryFlags_, true);
  ++primaryReferences_;
  *handle = primary_;
  return CUDA_SUCCESS;
}

CUresult Driver::releasePrimary() {
  {
    std::lock_guard lock(mutex_);
    if (primaryReferences_ == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (--primaryReferences_ != 0) return CUDA_SUCCESS;
  }
  return resetPrimary();
}

CUresult Driver::resetPrimary() {
  std::shared_ptr<Context> ended;
  {
    std::lock_guard lock(mutex_);
    if (!primary_) return CUDA_SUCCESS;
    ended = contexts_.remove(primary_);
    primary_ = nullptr;
    primaryReferences_ = 0;
    primaryFlags_ = 0;
  }
  if (ended) endContext(std::move(ended));
  return CUDA_SUCCESS;
}

CUresult Driver::setPrimaryFlags(unsigned flags) {
  std::lock_guard lock(mutex_);
  primaryFlags_ = flags;
  if (Context* context = contexts_.find(primary_)) context->setFlags(flags);
  return CUDA_SUCCESS;
}

void Driver::primaryState(unsigned* flags, bool* active) {
  std::lock_guard lock(mutex_);
  *flags = primaryFlags_;
  *active = primary_ != nullptr;
}

}  // namespace vgpu::cpu
