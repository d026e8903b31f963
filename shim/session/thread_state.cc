#include "shim/session/thread_state.h"

#include <unistd.h>

#include "protocol/calls/calls.h"
#include "shim/session/session.h"

namespace vgpu::shim {

constinit thread_local ThreadState* threadState = nullptr;

namespace {

// The runtime calls us after a thread's C++ objects are gone (modules are unloaded by exit handlers of the
// main thread, which run after its thread_local destructors), so the main thread's state lives as long as the
// process, and that of another thread is made anew where something still asks for it.
struct EndOfThread {
  ~EndOfThread() {
    if (::gettid() == ::getpid()) return;
    delete threadState;
    threadState = nullptr;
  }
};

}  // namespace

ThreadState& makeThreadState() {
  threadState = new ThreadState;
  static thread_local EndOfThread end;
  (void)end;
  return *threadState;
}

void ThreadState::setCurrent(Context* context) {
  if (contexts.empty()) {
    if (context) contexts.push_back(context);
    return;
  }
  contexts.back() = context;
  if (!context) contexts.pop_back();
}

bool ThreadState::attachFirst(Session& session) {
  const auto id = session.channel().attachThread();
  if (!id) return false;
  session_ = &session;
  id_ = *id;
  announced = nullptr;
  return true;
}

ThreadState::~ThreadState() {
  Session* session = Session::get();
  if (!session || session_ != session) return;
  const protocol::messages::ThreadEnded ended{};
  const auto bytes = std::as_bytes(std::span(&ended, 1));
  if (session->strict()) {
    session->channel().call(protocol::call::ThreadEnded | protocol::kWantsReply, id_, bytes, {});
  } else {
    session->channel().post(protocol::call::ThreadEnded, id_, bytes);
  }
  session->channel().detachThread(id_);
}

}  // namespace vgpu::shim
