// A host function in a stream: called on the driver's own thread for them, the stream waits until it returns.
#pragma once

#include <functional>

#include "cpu_driver/runtime/work.h"

namespace vgpu::cpu {

class HostWork final : public Work {
 public:
  // `evenAfterFailure`: callbacks are told of a failure, host functions are not called after one.
  HostWork(std::function<void(CUresult)> function, bool evenAfterFailure)
      : function_(std::move(function)), evenAfterFailure_(evenAfterFailure) {}
  Step run(Execution& execution, Stream& stream) override;
  Step abandon(Execution& execution, Stream& stream) override;

 private:
  std::function<void(CUresult)> function_;
  bool evenAfterFailure_;
  bool called_ = false;
};

}  // namespace vgpu::cpu
