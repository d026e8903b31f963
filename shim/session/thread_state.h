// What belongs to a host thread of the program: its id in the channel, its stack of contexts, its per-thread
// streams and capture mode. Touched by its own thread only.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "shim/session/objects.h"

namespace vgpu::shim {

class Session;

class ThreadState {
 public:
  ThreadState() = default;
  ~ThreadState();
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;

  Context* current() const { return contexts.empty() ? nullptr : contexts.back(); }
  void setCurrent(Context* context);

  // The thread's id in the session's channel, attached on first use; false: all ids are taken, or the session
  // is lost.
  bool attach(Session& session) { return session_ == &session || attachFirst(session); }
  uint16_t id() const { return id_; }

  std::vector<Context*>
      contexts;  // the last is current; an entry may be null (cuCtxPushCurrent takes none, SetCurrent may)
  Context* announced = nullptr;  // what the executor's record of this thread holds
  CUstreamCaptureMode captureMode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::map<Context*, Stream*> perThreadStreams;
  bool inHostFunction = false;  // runs a function of the program for a stream: it may not call CUDA

 private:
  bool attachFirst(Session& session);

  Session* session_ = nullptr;
  uint16_t id_ = 0xffff;
};

ThreadState& makeThreadState();

// Eight bytes of the static TLS that the C library keeps for libraries loaded late: read in one instruction,
// on the path of every call.
extern constinit thread_local ThreadState* threadState __attribute__((tls_model("initial-exec")));
inline ThreadState& thisThread() { return threadState ? *threadState : makeThreadState(); }

}  // namespace vgpu::shim
