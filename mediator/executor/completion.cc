#include "mediator/executor/completion.h"

#include <cstring>

#include "mediator/executor/execution.h"
#include "protocol/calls/messages.h"

namespace vgpu::executor {

void Completions::finish() {
  std::unique_lock lock(mutex_);
  allBack_.wait(lock, [this] { return free_.size() == all_.size(); });
}

Completions::Pending* Completions::take() {
  std::lock_guard lock(mutex_);
  if (free_.empty()) {
    all_.push_back(std::make_unique<Pending>());
    all_.back()->owner = this;
    free_.push_back(all_.back().get());
  }
  Pending* pending = free_.back();
  free_.pop_back();
  return pending;
}

void Completions::giveBack(Pending* pending) {
  std::lock_guard lock(mutex_);
  free_.push_back(pending);
  if (free_.size() == all_.size()) allBack_.notify_all();
}

CUresult Completions::add(CUstream stream, const Completion& completion) {
  Pending* pending = take();
  pending->completion = completion;
  const CUresult status = driver_.cuStreamAddCallback(stream, &called, pending, 0);
  if (status != CUDA_SUCCESS) giveBack(pending);
  return status;
}

void Completions::called(CUstream, CUresult status, void* user) {
  auto* pending = static_cast<Pending*>(user);
  pending->owner->complete(pending->completion, status);
  pending->owner->giveBack(pending);
}

void Completions::complete(const Completion& completion, CUresult status) {
  if (status != CUDA_SUCCESS) execution_.failedAsynchronously(completion.context, status);
  switch (completion.kind) {
    case Completion::Kind::Retire:
      execution_.channel.retire(completion.retiredSlot, completion.sequence);
      return;
    case Completion::Kind::ReleaseSlot:
      execution_.channel.releaseSlot(completion.slot);
      return;
    case Completion::Kind::GiveBackStaging:
      if (execution_.staging.giveBack(completion.staging)) execution_.wake();
      return;
    case Completion::Kind::FinishDownload: {
      const CUresult outcome = execution_.settled(completion.context, status);
      if (completion.staging) {
        const auto into = execution_.channel.slotMemory(completion.to.slot);
        if (outcome == CUDA_SUCCESS)
          std::memcpy(into.data(), completion.staging->data, completion.to.slotBytes);
        if (execution_.staging.giveBack(completion.staging)) execution_.wake();
      }
      execution_.channel.completeDownload(completion.to, outcome,
                                          outcome == CUDA_SUCCESS ? completion.to.slotBytes : 0);
      return;
    }
    case Completion::Kind::CallHostFunction: {
      // A function behind a failure is not called (cuLaunchHostFunc); its stream goes on to fail.
      if (status != CUDA_SUCCESS) {
        const uint64_t token = completion.token;
        Execution& execution = execution_;
        return execution_.toDispatcher([&execution, token] { execution.finishHostFunction(token); }, true);
      }
      const protocol::events::HostFunctionCall call{completion.token};
      execution_.channel.postEvent(static_cast<uint16_t>(protocol::events::EventKind::HostFunctionCall),
                                   std::as_bytes(std::span(&call, 1)));
      return;
    }
  }
}

}  // namespace vgpu::executor
