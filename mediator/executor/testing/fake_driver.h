// FakeDriver: a driver for tests of the executor, in which every call succeeds at once, except that the test
// can stop single streams: their operations then wait until it lets them go. Memory is real, kernels are
// names in a log. One at a time a process, because a driver's functions know no object. Any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "mediator/executor/driver.h"

namespace vgpu::executor {

class FakeDriver {
 public:
  FakeDriver();
  ~FakeDriver();

  const Driver& table() const { return table_; }
  // Operations given to the stream from now on wait.
  void stop(CUstream stream);
  void go(CUstream stream);
  // Its memory is the processor's to write, as with the CPU driver; before a session is made.
  void offerHostAddresses();
  // What streams have done, in order: "launch 3" for a grid of 3 blocks, "record", "wait", "copy".
  std::vector<std::string> done();
  // The streams made, in order.
  std::vector<CUstream> streams();
  // The next call of cuLaunchKernel answers this.
  void failNextLaunch(CUresult status);
  // Every later wait answers this, as after a fault.
  void failContext(CUresult status);

  // ---- for the driver's functions
  void enqueue(CUstream stream, std::function<void()> operation);
  bool isIdle(CUstream stream);
  void wait(CUstream stream);
  void waitAll();
  void note(std::string what);
  void recordEvent(CUevent event, CUstream stream);
  bool isOver(CUevent event);
  void wait(CUevent event);
  CUresult status();
  CUresult takeLaunchFailure();
  CUstream addStream();
  void* addObject() { return reinterpret_cast<void*>(nextObject_ += 16); }

  static FakeDriver& get();

 private:
  void fill();

  Driver table_;
  std::mutex mutex_;
  std::condition_variable changed_;
  struct Stream {
    bool stopped = false;
    bool running = false;
    std::deque<std::function<void()>> waiting;
  };
  std::map<CUstream, Stream> streams_;
  std::map<CUevent, int> pendingRecords_;
  std::vector<CUstream> made_;
  std::vector<std::string> done_;
  std::atomic<uintptr_t> nextObject_{0x1000};
  CUresult launchFailure_ = CUDA_SUCCESS;
  CUresult contextStatus_ = CUDA_SUCCESS;
};

}  // namespace vgpu::executor
