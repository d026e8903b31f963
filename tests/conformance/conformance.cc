#include "tests/conformance/conformance.h"

#include "protocol/calls/calls.h"

namespace vgpu::conformance {

std::set<std::string>& coveredRows() {
  static std::set<std::string> rows;
  return rows;
}

const char* const kKernels = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .global .align 4 .u32 counter = 7;
.visible .const .align 4 .u32 scale = 3;

.visible .entry add_one(.param .u64 data, .param .u32 count)
{
  .reg .pred %p<2>;
  .reg .b32 %r<6>;
  .reg .b64 %rd<5>;
  ld.param.u64 %rd1, [data];
  ld.param.u32 %r1, [count];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r2, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r2, %r1;
  @%p1 bra done;
  cvta.to.global.u64 %rd2, %rd1;
  mul.wide.u32 %rd3, %r2, 4;
  add.s64 %rd4, %rd2, %rd3;
  ld.global.u32 %r5, [%rd4];
  add.u32 %r5, %r5, 1;
  st.global.u32 [%rd4], %r5;
done:
  ret;
}

.visible .entry store_symbols(.param .u64 data)
{
  .reg .b32 %r<3>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [data];
  cvta.to.global.u64 %rd2, %rd1;
  ld.global.u32 %r1, [counter];
  ld.const.u32 %r2, [scale];
  st.global.u32 [%rd2], %r1;
  st.global.u32 [%rd2+4], %r2;
  ret;
}

.visible .entry wild_store()
{
  .reg .b32 %r<2>;
  .reg .b64 %rd<2>;
  mov.u64 %rd1, 0;
  mov.u32 %r1, 1;
  st.global.u32 [%rd1], %r1;
  ret;
}

.visible .entry dynamic_shared(.param .u64 data)
{
  .reg .b32 %r<3>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [data];
  cvta.to.global.u64 %rd2, %rd1;
  mov.u32 %r1, %dynamic_smem_size;
  st.global.u32 [%rd2], %r1;
  ret;
}
)";

void Conformance::SetUp() {
  OK(cuInit(0));
  OK(cuDeviceGet(&device_, 0));
  OK(cuCtxCreate_v2(&context_, 0, device_));
  OK(cuModuleLoadData(&module_, kKernels));
}

void Conformance::TearDown() {
  if (context_) EXPECT_EQ(cuCtxDestroy_v2(context_), CUDA_SUCCESS);
}

CUfunction Conformance::function(const char* name) {
  CUfunction found = nullptr;
  EXPECT_EQ(cuModuleGetFunction(&found, module_, name), CUDA_SUCCESS) << name;
  return found;
}

void Conformance::addOne(CUdeviceptr data, unsigned count, CUstream stream) {
  void* parameters[] = {&data, &count};
  OK(cuLaunchKernel(function("add_one"), (count + 127) / 128, 1, 1, 128, 1, 1, 0, stream, parameters,
                    nullptr));
}

std::vector<unsigned> Conformance::words(CUdeviceptr data, size_t count) {
  std::vector<unsigned> host(count);
  EXPECT_EQ(cuMemcpyDtoH_v2(host.data(), data, count * 4), CUDA_SUCCESS);
  return host;
}

// Runs last by its name's place in the binary; every other file has registered by then.
TEST(CallTable, EveryRowHasAConformanceTest) {
  for (const protocol::RowInfo& row : protocol::kRows) {
    EXPECT_TRUE(coveredRows().contains(row.name)) << row.name << " has no test in tests/conformance";
  }
}

}  // namespace vgpu::conformance
