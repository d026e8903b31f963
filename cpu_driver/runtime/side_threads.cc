#include "cpu_driver/runtime/side_threads.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "cpu_driver/runtime/thread_state.h"

namespace vgpu::cpu {
namespace {

// The compiler's passes recurse over whatever the PTX nests.
constexpr size_t kStackBytes = size_t{64} << 20;

class SideThread {
 public:
  SideThread(const char* name, bool hostFunctions) : name_(name), hostFunctions_(hostFunctions) {}

  void post(std::function<void()> job) {
    std::lock_guard lock(mutex_);
    if (!started_) start();
    jobs_.push_back(std::move(job));
    wake_.notify_one();
  }

 private:
  void start() {
    started_ = true;
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, kStackBytes);
    ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    CHECK(::pthread_create(&thread, &attributes, &SideThread::main, this) == 0);
    ::pthread_setname_np(thread, name_);
    ::pthread_attr_destroy(&attributes);
  }

  static void* main(void* self) {
    static_cast<SideThread*>(self)->run();
    return nullptr;
  }

  void run() {
    threadState().inHostFunction = hostFunctions_;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return !jobs_.empty(); });
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }

  const char* const name_;
  const bool hostFunctions_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool started_ = false;
};

class Timer {
 public:
  void post(std::chrono::steady_clock::time_point due, std::function<void()> job) {
    std::lock_guard lock(mutex_);
    if (!started_) {
      started_ = true;
      std::thread([this] { run(); }).detach();
    }
    jobs_.emplace(due, std::move(job));
    wake_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (jobs_.empty()) {
        wake_.wait(lock);
        continue;
      }
      const auto first = jobs_.begin();
      if (first->first > std::chrono::steady_clock::now()) {
        wake_.wait_until(lock, first->first);
        continue;
      }
      const auto job = std::move(first->second);
      jobs_.erase(first);
      lock.unlock();
      job();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> jobs_;
  bool started_ = false;
};

}  // namespace

void runAfter(std::chrono::microseconds delay, std::function<void()> job) {
  static auto* kTimer = new Timer;
  kTimer->post(std::chrono::steady_clock::now() + delay, std::move(job));
}

void runOnCompileThread(std::function<void()> job) {
  static auto* kThread = new SideThread("vgpu-compile", false);
  kThread->post(std::move(job));
}

void runOnHostFunctionThread(std::function<void()> job) {
  static auto* kThread = new SideThread("vgpu-host-fn", true);
  kThread->post(std::move(job));
}

}  // namespace vgpu::cpu
