#include "cpu_driver/runtime/thread_state.h"

#include "cpu_driver/runtime/context.h"

namespace vgpu::cpu {

ThreadState::~ThreadState() {
  // The streams' work goes on; the context only stops ordering against them once it is over.
  for (const auto& [context, stream] : perThreadStreams_) {
    stream->context().removeWhenIdle(stream);
  }
}

void ThreadState::setCurrent(CUcontext context) {
  if (!stack_.empty()) stack_.pop_back();
  if (context) stack_.push_back(context);
}

bool ThreadState::pop(CUcontext* context) {
  if (stack_.empty()) return false;
  *context = stack_.back();
  stack_.pop_back();
  return true;
}

Stream& ThreadState::perThreadStream(Context& context) {
  auto& stream = perThreadStreams_[&context];
  if (!stream) {
    stream = std::make_shared<Stream>(context, StreamKind::PerThread, 0, 0);
    context.add(stream);
  }
  return *stream;
}

constinit thread_local ThreadState* ownThreadState = nullptr;

ThreadState& makeThreadState() {
  static thread_local ThreadState state;
  ownThreadState = &state;
  return state;
}

}  // namespace vgpu::cpu
