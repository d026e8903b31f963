// Workers: threads beside the dispatcher, for waits and for long work that only its caller waits for. One
// more thread is made whenever none is idle, up to a bound that the number of guest threads sets; idle ones
// end after a while, so that an idle session holds none. Any thread may call run().
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace vgpu::executor {

class Workers {
 public:
  explicit Workers(unsigned most) : most_(most) {}
  ~Workers() { finish(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void run(std::function<void()> work);
  // Waits for what runs; what has not begun is dropped, and nothing is begun any more.
  void finish();

 private:
  void work();

  const unsigned most_;
  std::mutex mutex_;
  std::condition_variable wanted_, ended_;
  std::deque<std::function<void()>> waiting_;
  unsigned threads_ = 0;
  unsigned idle_ = 0;
  bool ending_ = false;
};

}  // namespace vgpu::executor
