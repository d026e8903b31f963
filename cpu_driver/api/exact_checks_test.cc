// What VGPU_CPU_EXACT_CHECKS tells apart, and what is told apart without it. The variables are read once a
// process, so CMake runs this with the switch on and off, in both forms.
#include <cstdlib>
#include <string_view>

#include "cpu_driver/api/testing.h"

namespace vgpu::cpu::testing {
namespace {

constexpr unsigned kBytes = 100;  // the page behind it is open: nothing faults

bool exact() {
  const char* value = std::getenv("VGPU_CPU_EXACT_CHECKS");
  return value && std::string_view(value) == "1";
}

struct AccessKind {
  const char* name;
  const char* code;  // reads or writes at [%d1]
  unsigned bytes;
  bool alwaysAligned;  // a wrong alignment is noticed without the switch too
};

const AccessKind kAccesses[] = {
    {"load8", "ld.global.u8 %r1, [%d1];", 1, false},
    {"load16", "ld.global.u16 %h1, [%d1];", 2, false},
    {"load32", "ld.global.u32 %r1, [%d1];", 4, false},
    {"load64", "ld.global.f64 %fd1, [%d1]; add.f64 %fd1, %fd1, %fd1; st.global.f64 [%d2], %fd1;", 8, false},
    {"loadVector2", "ld.global.v2.f32 {%f1, %f2}, [%d1];", 8, false},
    {"loadVector4", "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%d1];", 16, false},
    {"loadVolatile", "ld.volatile.global.u32 %r1, [%d1];", 4, false},
    {"loadRelaxedVector", "ld.relaxed.gpu.global.v4.u32 {%r1, %r2, %r3, %r4}, [%d1];", 16, true},
    {"store8", "st.global.u8 [%d1], 1;", 1, false},
    {"store32", "st.global.u32 [%d1], 1;", 4, false},
    {"storeGeneric", "st.u64 [%d1], %d2;", 8, false},
    {"storeVector4", "st.global.v4.u32 [%d1], {%r1, %r2, %r3, %r4};", 16, false},
    {"storeReleaseVector", "st.release.gpu.global.v2.b64 [%d1], {%d2, %d2};", 16, true},
    {"atomicAdd", "atom.global.add.u32 %r1, [%d1], 1;", 4, true},
    {"atomicCas", "atom.global.cas.b64 %d3, [%d1], 0, 1;", 8, true},
    {"reduction", "red.global.add.f32 [%d1], 0f3F800000;", 4, true},
};

// What was loaded is stored, so that no load is left out; %d2 is memory of its own.
std::string kernelOf(const AccessKind& access) {
  return kHeader + R"(
.visible .entry access(.param .u64 at, .param .u64 out)
{
  .reg .b16 %h<2>; .reg .b32 %r<6>; .reg .b64 %d<4>; .reg .f32 %f<3>; .reg .f64 %fd<2>;
  mov.u32 %r1, 0; mov.u32 %r2, 0; mov.u32 %r3, 0; mov.u32 %r4, 0; mov.u64 %d3, 0;
  mov.f32 %f1, 0f00000000; mov.f32 %f2, 0f00000000; mov.u16 %h1, 0;
  ld.param.u64 %d1, [at];
  ld.param.u64 %d2, [out];
  )" + access.code +
         R"(
  cvt.u32.u16 %r5, %h1;
  add.u32 %r1, %r1, %r2; add.u32 %r1, %r1, %r3; add.u32 %r1, %r1, %r4; add.u32 %r1, %r1, %r5;
  st.global.u32 [%d2+8], %r1; st.global.u64 [%d2+16], %d3;
  st.global.f32 [%d2+24], %f1; st.global.f32 [%d2+28], %f2;
  ret;
}
)";
}

class ExactChecks : public ApiTest {
 protected:
  // The outcome of one launch on memory of kBytes; a context of its own, because a failure stays.
  CUresult launch(const std::string& ptx, const char* name, size_t offset, unsigned threads = 1,
                  unsigned shared = 0) {
    const CUfunction kernel = function(ptx, name);
    CUdeviceptr at = allocate(kBytes), out = allocate(64);
    EXPECT_CU(CUDA_SUCCESS, cuMemsetD8_v2(at, 0, kBytes));
    at += offset;
    void* parameters[] = {&at, &out};
    EXPECT_CU(CUDA_SUCCESS,
              cuLaunchKernel(kernel, 1, 1, 1, threads, 1, 1, shared, nullptr, parameters, nullptr));
    const CUresult outcome = cuCtxSynchronize();
    renewContext();
    return outcome;
  }
};

TEST_F(ExactChecks, TheLastElementThatFitsIsAllowed) {
  for (const AccessKind& access : kAccesses) {
    SCOPED_TRACE(access.name);
    EXPECT_CU(CUDA_SUCCESS,
              launch(kernelOf(access), "access", (kBytes - access.bytes) / access.bytes * access.bytes));
  }
}

TEST_F(ExactChecks, OneElementPastTheEndIsFoundWithTheSwitchOnly) {
  for (const AccessKind& access : kAccesses) {
    SCOPED_TRACE(access.name);
    const size_t past = kBytes / access.bytes * access.bytes;
    EXPECT_CU(exact() ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS, launch(kernelOf(access), "access", past));
  }
}

TEST_F(ExactChecks, WrongAlignmentsOfAtomicsAreAlwaysFoundAndOthersWithTheSwitch) {
  for (const AccessKind& access : kAccesses) {
    if (access.bytes == 1) continue;
    for (const size_t offset : {size_t{1}, size_t{access.bytes / 2}}) {
      SCOPED_TRACE(access.name + std::string(" at ") + std::to_string(offset));
      EXPECT_CU(exact() || access.alwaysAligned ? CUDA_ERROR_MISALIGNED_ADDRESS : CUDA_SUCCESS,
                launch(kernelOf(access), "access", offset));
    }
  }
}

TEST_F(ExactChecks, EveryThreadIsChecked) {
  const std::string fill = kHeader + R"(
.visible .entry fill(.param .u64 at, .param .u64 out)
{
  .reg .b32 %r<2>; .reg .b64 %d<4>;
  ld.param.u64 %d1, [at];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %d2, %r1, 4;
  add.s64 %d3, %d1, %d2;
  st.global.u32 [%d3], %r1;
  ret;
}
)";
  EXPECT_CU(CUDA_SUCCESS, launch(fill, "fill", 0, kBytes / 4));
  EXPECT_CU(exact() ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS, launch(fill, "fill", 0, kBytes / 4 + 1));
}

// Shared memory across a barrier, an array of the thread, parameters and constants are a kernel's own.
TEST_F(ExactChecks, AKernelsOwnMemoryIsAllowedUpToItsEnd) {
  const std::string own = kHeader + R"(
.const .align 4 .u32 table[4] = {1, 2, 3, 4};
.extern .shared .align 4 .b8 dynamic[];
.visible .entry own(.param .u64 at, .param .u64 out)
{
  .local .align 4 .b8 array[64];
  .reg .b32 %r<8>; .reg .b64 %d<10>;
  ld.param.u64 %d1, [at];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %d2, %r1, 4;
  mov.u64 %d3, dynamic; add.s64 %d3, %d3, %d2;
  st.shared.u32 [%d3], %r1;
  bar.sync 0;
  xor.b32 %r2, %r1, 1; mul.wide.u32 %d4, %r2, 4;
  mov.u64 %d5, dynamic; add.s64 %d5, %d5, %d4;
  ld.shared.u32 %r3, [%d5];
  and.b32 %r4, %r1, 3; mul.wide.u32 %d6, %r4, 4;
  mov.u64 %d7, table; add.s64 %d7, %d7, %d6;
  ld.const.u32 %r5, [%d7];
  mov.u64 %d8, array; add.s64 %d8, %d8, %d6;
  st.local.u32 [%d8], %r5;
  ld.local.u32 %r6, [%d8];
  add.u32 %r7, %r3, %r6;
  ld.param.u64 %d9, [out];
  st.global.u32 [%d9], %r7;
  ret;
}
)";
  EXPECT_CU(CUDA_SUCCESS, launch(own, "own", 0, 26, 26 * 4));
  EXPECT_CU(exact() ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS, launch(own, "own", 0, 26, 25 * 4));
}

TEST_F(ExactChecks, FreedMemoryIsNot) {
  const AccessKind& store = kAccesses[9];
  ASSERT_STREQ(store.name, "store32");
  const CUfunction kernel = function(kernelOf(store), "access");
  CUdeviceptr at = allocate(kBytes), out = allocate(64);
  ASSERT_OK(cuMemFree_v2(at));
  void* parameters[] = {&at, &out};
  EXPECT_CU(CUDA_SUCCESS, cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  EXPECT_CU(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
}

}  // namespace
}  // namespace vgpu::cpu::testing
