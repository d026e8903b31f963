// For tests of the entry points: a context to call in, short names for what tests do again and again.
// The tests link the entry points themselves; the compiler is found by the path that CMake gives.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "protocol/abi/cuda.h"

namespace vgpu::cpu::testing {

inline const char* nameOf(CUresult result) {
  const char* name = "?";
  cuGetErrorName(result, &name);
  return name;
}

#define EXPECT_CU(expected, call)                                                 \
  do {                                                                            \
    const CUresult got = (call);                                                  \
    EXPECT_EQ(expected, got) << #call << ": " << vgpu::cpu::testing::nameOf(got); \
  } while (0)
#define ASSERT_OK(call)                                                               \
  do {                                                                                \
    const CUresult got = (call);                                                      \
    ASSERT_EQ(CUDA_SUCCESS, got) << #call << ": " << vgpu::cpu::testing::nameOf(got); \
  } while (0)

class ApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("VGPU_CPU_MEMORY", "1G", 0);
    ::setenv("VGPU_CPU_WORKERS", "2", 0);
    ::setenv("VGPU_CPU_CACHE", "", 0);
#ifdef VGPU_TEST_JIT
    ::setenv("VGPU_CPU_JIT", VGPU_TEST_JIT, 0);
#endif
    ASSERT_OK(cuInit(0));
    ASSERT_OK(cuCtxCreate_v2(&context_, 0, 0));
  }
  void TearDown() override { cuCtxDestroy_v2(context_); }

  // After a failure that stays: a new one, so that the next test starts clean.
  void renewContext() {
    cuCtxDestroy_v2(context_);
    ASSERT_OK(cuCtxCreate_v2(&context_, 0, 0));
  }

  CUdeviceptr allocate(size_t bytes) {
    CUdeviceptr address = 0;
    EXPECT_CU(CUDA_SUCCESS, cuMemAlloc_v2(&address, bytes));
    return address;
  }
  CUfunction function(const std::string& ptx, const char* name) {
    CUmodule module = nullptr;
    CUfunction result = nullptr;
    EXPECT_CU(CUDA_SUCCESS, cuModuleLoadData(&module, ptx.c_str()));
    EXPECT_CU(CUDA_SUCCESS, cuModuleGetFunction(&result, module, name));
    return result;
  }
  template <class T>
  std::vector<T> read(CUdeviceptr from, size_t count) {
    std::vector<T> values(count);
    EXPECT_CU(CUDA_SUCCESS, cuMemcpyDtoH_v2(values.data(), from, count * sizeof(T)));
    return values;
  }

  CUcontext context_ = nullptr;
};

inline const std::string kHeader = ".version 8.0\n.target sm_80\n.address_size 64\n";

// out[i] += addend, for i < n.
inline const std::string kAddPtx = kHeader + R"(
.visible .entry add(.param .u64 out, .param .u32 addend, .param .u32 n)
{
  .reg .pred %p; .reg .b32 %r<8>; .reg .b64 %d<4>;
  ld.param.u64 %d1, [out];
  ld.param.u32 %r1, [addend];
  ld.param.u32 %r2, [n];
  mov.u32 %r3, %ctaid.x;
  mov.u32 %r4, %ntid.x;
  mov.u32 %r5, %tid.x;
  mad.lo.s32 %r6, %r3, %r4, %r5;
  setp.ge.u32 %p, %r6, %r2;
  @%p bra done;
  mul.wide.u32 %d2, %r6, 4;
  add.s64 %d3, %d1, %d2;
  ld.global.u32 %r7, [%d3];
  add.s32 %r7, %r7, %r1;
  st.global.u32 [%d3], %r7;
done:
  ret;
}
)";

// Waits until *flag is not 0.
inline const std::string kSpinPtx = kHeader + R"(
.visible .entry spin(.param .u64 flag)
{
  .reg .pred %p; .reg .b32 %r<2>; .reg .b64 %d<2>;
  ld.param.u64 %d1, [flag];
again:
  ld.volatile.global.u32 %r1, [%d1];
  setp.eq.u32 %p, %r1, 0;
  @%p bra again;
  ret;
}
)";

}  // namespace vgpu::cpu::testing
