// What belongs to one thread of the program: its stack of current contexts, its per-thread default streams,
// its capture mode, and whether the call that it is in wants the per-thread default stream (the _ptsz
// entries). Used by that thread alone; ends with it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "cpu_driver/runtime/stream.h"

namespace vgpu::cpu {

class ThreadState {
 public:
  ~ThreadState();

  CUcontext current() const { return stack_.empty() ? nullptr : stack_.back(); }
  void setCurrent(CUcontext context);  // null: empties the top
  void push(CUcontext context) { stack_.push_back(context); }
  bool pop(CUcontext* context);

  Stream& perThreadStream(Context& context);
  void forget(const Context& context) { perThreadStreams_.erase(&context); }

  CUstreamCaptureMode captureMode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  bool perThreadDefault = false;
  bool inHostFunction = false;

 private:
  std::vector<CUcontext> stack_;
  std::unordered_map<const Context*, std::shared_ptr<Stream>> perThreadStreams_;
};

ThreadState& makeThreadState();
extern constinit thread_local ThreadState* ownThreadState __attribute__((tls_model("initial-exec")));
inline ThreadState& threadState() { return ownThreadState ? *ownThreadState : makeThreadState(); }

// The duration of a _ptsz or _ptds entry: stream 0 means the thread's own.
class PerThreadDefault {
 public:
  PerThreadDefault() { threadState().perThreadDefault = true; }
  ~PerThreadDefault() { threadState().perThreadDefault = false; }
};

}  // namespace vgpu::cpu
