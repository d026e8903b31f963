// Tests of CUDA's meaning that run in every form. Test process only.
#pragma once

#include <gtest/gtest.h>

#include "cpu_driver/jit/form_testing.h"

namespace vgpu::jit::testing {

class EveryForm : public ::testing::TestWithParam<kernel::Form> {
 protected:
  // Compiles with the form of this run; a kernel that the loops form refuses runs as fibers, which is the
  // driver's choice.
  Built built(const std::string& body, uint32_t sharedBytes = 0, kernel::Dim3 block = {0, 0, 0}) {
    FormOptions options;
    options.form = GetParam() == kernel::Form::Fibers ? kernel::Form::Fibers : kernel::Form::Auto;
    options.block = block;
    auto result = build(fromAssembly(body, sharedBytes), options);
    EXPECT_TRUE(result.image) << result.log;
    return result;
  }

  // One word a thread of the launch, which begins as 0xdeadbeef.
  std::vector<uint32_t> run(const std::string& body, const LaunchShape& shape, uint32_t sharedBytes = 0,
                            kernel::RunStatus expected = kernel::RunStatus::Done) {
    const auto &grid = shape.grid, &block = shape.block;
    std::vector<uint32_t> out(size_t{grid.x} * grid.y * grid.z * block.x * block.y * block.z);
    for (const kernel::Dim3 specialised : {kernel::Dim3{0, 0, 0}, shape.block}) {
      std::fill(out.begin(), out.end(), 0xdeadbeef);
      auto kernel = built(body, sharedBytes, specialised);
      if (!kernel.image) return out;
      void* parameters[4] = {out.data(), nullptr, nullptr, nullptr};
      const auto outcome = launch(*kernel.image, shape, parameters);
      EXPECT_EQ(outcome.status, expected) << kernel::runStatusName(outcome.status) << ", " << kernel.log;
    }
    return out;
  }
};

inline LaunchShape oneBlock(uint32_t threads) { return {.grid = {1, 1, 1}, .block = {threads, 1, 1}}; }

// Opens a kernel: %out is the first parameter, %tid, %ntid, %ctaid the registers, %i the global index, %slot
// = &out[i].
inline std::string kernelText(const std::string& body, const std::string& functions = "") {
  return functions + R"(
define void @kernel(ptr %thread) {
entry:
  %param = call ptr @vgpu.param.base()
  %out = load ptr, ptr %param, !invariant.load !0
  %shared = call ptr @vgpu.shared.base()
  %tid = call i32 @vgpu.tid.x()
  %ntid = call i32 @vgpu.ntid.x()
  %ctaid = call i32 @vgpu.ctaid.x()
  %base = mul i32 %ctaid, %ntid
  %i = add i32 %base, %tid
  %i64 = sext i32 %i to i64
  %slot = getelementptr i32, ptr %out, i64 %i64
  %t64 = zext i32 %tid to i64
)" + body +
         R"(
}
!0 = !{}
)";
}

}  // namespace vgpu::jit::testing
