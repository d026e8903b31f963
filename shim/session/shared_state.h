// State that all threads of the process share: a mutex, and what it guards, reached in no other way. It is
// made at its first use and never destroyed, because a program's threads and static destructors call CUDA
// until the very end. Guest, any thread.
#pragma once

#include <mutex>
#include <utility>

namespace vgpu::shim {

template <class State>
class SharedState {
 public:
  // The state, for as long as this lives nobody else's.
  class Access {
   public:
    State* operator->() const { return state_; }
    State& operator*() const { return *state_; }

   private:
    friend SharedState;
    Access(std::unique_lock<std::mutex> lock, State* state) : lock_(std::move(lock)), state_(state) {}
    std::unique_lock<std::mutex> lock_;
    State* state_;
  };

  Access lock() {
    std::unique_lock lock(mutex_);
    if (!state_) state_ = new State;
    return {std::move(lock), state_};
  }

 private:
  std::mutex mutex_;
  State* state_ = nullptr;
};

}  // namespace vgpu::shim
