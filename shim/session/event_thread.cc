#include "shim/session/event_thread.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "shim/session/session.h"
#include "shim/session/submit.h"

namespace vgpu::shim {
namespace {

using protocol::events::EventKind;

// Leaked on purpose: the threads run until the process ends, also while static destructors run.
struct State {
  std::mutex mutex;
  std::condition_variable handledChanged, callbacksChanged;
  std::atomic<uint64_t> handled{0};
  std::unordered_map<uint64_t, std::function<void()>> functions;
  std::deque<uint64_t> callbacks;
  uint64_t nextToken = 1;
  bool callbackThreadStarted = false;
};
State& state() {
  static State* leaked = new State;
  return *leaked;
}

// A thread of ours in somebody else's program: signals are the program's, not ours.
template <class Body>
void startQuietThread(const char* name, Body body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(body);
  pthread_setname_np(thread.native_handle(), name);
  thread.detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void runCallbacks(Session& session) {
  for (;;) {
    uint64_t token;
    std::function<void()> function;
    {
      std::unique_lock lock(state().mutex);
      state().callbacksChanged.wait(lock, [] { return !state().callbacks.empty(); });
      token = state().callbacks.front();
      state().callbacks.pop_front();
      auto entry = state().functions.find(token);
      if (entry == state().functions.end()) continue;  // a token that the executor invented
      function = std::move(entry->second);
      state().functions.erase(entry);
    }
    function();
    Submission submission;
    if (enterSession(submission) != CUDA_SUCCESS) return;
    postMessage<protocol::call::HostFunctionDone>(submission, {token});
    session.channel().flush();
  }
}

void queueCallback(Session& session, uint64_t token) {
  std::lock_guard lock(state().mutex);
  state().callbacks.push_back(token);
  if (!state().callbackThreadStarted) {
    state().callbackThreadStarted = true;
    startQuietThread("vgpu-callbacks", [&session] { runCallbacks(session); });
  }
  state().callbacksChanged.notify_one();
}

void writeOutput(int fd, Bytes bytes) {
  if (fd != STDOUT_FILENO && fd != STDERR_FILENO) return;
  // The program's own buffered output comes first, as with the native driver, which prints at
  // synchronisation.
  if (fd == STDOUT_FILENO) fflush(stdout);
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written <= 0) return;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void handle(Session& session, const transport::Event& event) {
  const Bytes bytes(event.bytes);
  switch (static_cast<EventKind>(event.kind)) {
    case EventKind::HostFunctionCall: {
      protocol::events::HostFunctionCall call;
      if (bytes.size() != sizeof call) return;
      std::memcpy(&call, bytes.data(), sizeof call);
      queueCallback(session, call.token);
      return;
    }
    case EventKind::Output: {
      protocol::events::Output output;
      if (bytes.size() < sizeof output) return;
      std::memcpy(&output, bytes.data(), sizeof output);
      writeOutput(output.fd, bytes.subspan(sizeof output));
      return;
    }
    case EventKind::ContextFailed: {
      protocol::events::ContextFailed failed;
      if (bytes.size() != sizeof failed) return;
      std::memcpy(&failed, bytes.data(), sizeof failed);
      if (Context* context = session.contexts.find(failed.context))
        context->failed.store(true, std::memory_order_release);
      return;
    }
    case EventKind::LogLine:
      log::warning(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
      return;
  }
}

void runEvents(Session& session) {
  transport::Event event;
  for (;;) {
    const transport::Wait wait = session.channel().waitEvent(event);
    if (wait == transport::Wait::Ready) handle(session, event);
    std::lock_guard lock(state().mutex);
    if (wait == transport::Wait::Ready) state().handled.store(event.sequence, std::memory_order_release);
    if (wait == transport::Wait::Lost) state().handled.store(~uint64_t{0}, std::memory_order_release);
    state().handledChanged.notify_all();
    if (wait == transport::Wait::Lost) break;
  }
  log::error("the session is lost; every later call fails", {{"reason", session.channel().lostReason()}});
}

uint64_t registerFunction(std::function<void()> function) {
  std::lock_guard lock(state().mutex);
  const uint64_t token = state().nextToken++;
  state().functions.emplace(token, std::move(function));
  return token;
}

}  // namespace

void startEventThread(Session& session) {
  startQuietThread("vgpu-events", [&session] { runEvents(session); });
}

void settleEvents(Session& session) {
  const uint64_t announced = session.channel().eventsAnnounced();
  if (state().handled.load(std::memory_order_acquire) >= announced) return;
  std::unique_lock lock(state().mutex);
  state().handledChanged.wait(lock,
                              [&] { return state().handled.load(std::memory_order_relaxed) >= announced; });
}

uint64_t registerHostFunction(std::function<void()> function) {
  return registerFunction(std::move(function));
}

void forgetHostFunction(uint64_t token) {
  std::lock_guard lock(state().mutex);
  state().functions.erase(token);
}

void runForProgram(const std::function<void()>& function) {
  thisThread().inHostFunction = true;
  function();
  thisThread().inHostFunction = false;
}

}  // namespace vgpu::shim
