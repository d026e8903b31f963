// Completions: what is to happen when all that precedes in a stream is over, by the driver's stream callbacks
// (which, unlike host functions, come also when the context has failed). add() from the dispatcher; what then
// happens runs on the driver's callback thread: it answers, releases or retires, and never blocks or calls
// the driver.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "mediator/executor/driver.h"
#include "mediator/executor/staging.h"
#include "transport/ring/host_channel.h"

namespace vgpu::executor {

class Execution;
struct ContextObject;

struct Completion {
  enum class Kind : uint8_t { Retire, ReleaseSlot, GiveBackStaging, FinishDownload, CallHostFunction };
  Kind kind = Kind::Retire;
  uint16_t number = 0;  // row, for errors
  uint16_t slot = transport::kNoSlot;
  uint32_t retiredSlot = 0;
  uint64_t sequence = 0;
  uint64_t token = 0;
  StagingBlock* staging = nullptr;
  transport::ReplyTo to = {};
  ContextObject* context = nullptr;
};

class Completions {
 public:
  Completions(const Driver& driver, Execution& execution) : driver_(driver), execution_(execution) {}
  // Waits until the driver has called everything back.
  void finish();

  // On failure nothing will happen, and the caller must do it.
  CUresult add(CUstream stream, const Completion& completion);
  // Does it now, on this thread.
  void complete(const Completion& completion, CUresult status);

 private:
  struct Pending {
    Completion completion;
    Completions* owner = nullptr;
  };
  static void CUDA_CB called(CUstream stream, CUresult status, void* user);
  Pending* take();
  void giveBack(Pending* pending);

  const Driver& driver_;
  Execution& execution_;
  std::mutex mutex_;
  std::condition_variable allBack_;
  std::vector<std::unique_ptr<Pending>> all_;
  std::vector<Pending*> free_;
};

}  // namespace vgpu::executor
