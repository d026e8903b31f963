#include "cpu_driver/runtime/host_work.h"

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/side_threads.h"

namespace vgpu::cpu {

Step HostWork::run(Execution&, Stream& stream) {
  if (called_) return Step::Done;  // the stream is only resumed when the function has returned
  called_ = true;
  // Text that kernels before it printed comes before what the function prints.
  stream.context().output().deliver();
  auto call = [function = std::move(function_), self = stream.shared_from_this()] {
    function(self->context().surface());
    self->resume();
  };
  stream.handOn();
  runOnHostFunctionThread(std::move(call));
  return Step::Blocked;
}

Step HostWork::abandon(Execution& execution, Stream& stream) {
  return called_ || evenAfterFailure_ ? run(execution, stream) : Step::Done;
}

}  // namespace vgpu::cpu
