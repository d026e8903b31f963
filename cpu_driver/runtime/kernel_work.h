// A kernel launch in a stream: waits for its image, then runs alone on the draining thread when that is
// cheaper than waking others, else as a LaunchJob. The parameters were copied when the launch was called.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "cpu_driver/runtime/launch_job.h"
#include "cpu_driver/runtime/module.h"
#include "cpu_driver/runtime/work.h"

namespace vgpu::cpu {

// A launch as the program asked for it, checked, with its parameter block.
struct LaunchRequest {
  Module* module = nullptr;
  std::shared_ptr<KernelCode> code;
  std::shared_ptr<KernelCode::Variant> variant;
  kernel::Dim3 grid, block;
  unsigned dynamicSharedBytes = 0;
  bool cooperative = false;
  size_t parameterBytes = 0;
  alignas(16) std::array<std::byte, 256> inlineParameters;
  std::vector<std::byte> largeParameters;

  std::byte* parameters() {
    return parameterBytes > inlineParameters.size() ? largeParameters.data() : inlineParameters.data();
  }
  // What the runners need of it; the request must outlive the launch.
  void prepare(kernel::LaunchContext& launch, Context& context, const kernel::LoadedImage& image);
};

// What a launch that has run means for its context: its output is delivered, a failure is kept.
void concludeLaunch(Context& context, const KernelCode& code, kernel::RunStatus status);

class KernelWork final : public Work {
 public:
  explicit KernelWork(const LaunchRequest& request);
  Step run(Execution& execution, Stream& stream) override;
  Step abandon(Execution& execution, Stream& stream) override;
  bool needsSlot() const override { return true; }

 private:
  bool imageReady(Stream& stream);
  bool worthSharing(Execution& execution) const;
  void runAlone(Execution& execution, Stream& stream);
  Step runShared(Execution& execution, Stream& stream);
  void finish(Stream& stream, kernel::RunStatus status, int64_t nanoseconds);

  LaunchRequest request_;
  std::shared_ptr<LaunchJob> job_;
};

// The services that generated code asks of the driver; `driver` of a launch is its Context.
const kernel::HostServices& hostServices();

}  // namespace vgpu::cpu
