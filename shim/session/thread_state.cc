#include "shim/session/thread_state.h"

#include "protocol/calls/calls.h"
#include "shim/session/session.h"

namespace vgpu::shim {

ThreadState& thisThread() {
  static thread_local ThreadState state;
  return state;
}

void ThreadState::setCurrent(Context* context) {
  if (contexts.empty()) {
    if (context) contexts.push_back(context);
    return;
  }
  contexts.back() = context;
  if (!context) contexts.pop_back();
}

bool ThreadState::attach(Session& session) {
  if (session_ == &session) return true;
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
    session->channel().call(protocol::call::ThreadEnded, id_, bytes, {});
  } else {
    session->channel().post(protocol::call::ThreadEnded, id_, bytes);
  }
  session->channel().detachThread(id_);
}

}  // namespace vgpu::shim
