#include <array>
#include <cstring>

#include "cpu_driver/api/testing.h"

namespace vgpu::cpu::testing {
namespace {

using Modules = ApiTest;

TEST_F(Modules, VariablesHaveTheirInitialValuesAndAddresses) {
  const std::string ptx = kHeader + R"(
.visible .global .align 4 .u32 numbers[3] = {7, 8, 9};
.visible .const .align 4 .f32 scale = 0f3FC00000;
.visible .global .align 8 .u64 where = numbers;
)";
  CUmodule module = nullptr;
  ASSERT_OK(cuModuleLoadData(&module, ptx.c_str()));
  CUdeviceptr numbers = 0, where = 0, scale = 0;
  size_t bytes = 0;
  ASSERT_OK(cuModuleGetGlobal_v2(&numbers, &bytes, module, "numbers"));
  EXPECT_EQ(bytes, 12u);
  EXPECT_EQ(read<uint32_t>(numbers, 3), (std::vector<uint32_t>{7, 8, 9}));
  ASSERT_OK(cuModuleGetGlobal_v2(&scale, &bytes, module, "scale"));
  EXPECT_EQ(read<float>(scale, 1)[0], 1.5f);
  ASSERT_OK(cuModuleGetGlobal_v2(&where, nullptr, module, "where"));
  EXPECT_EQ(read<CUdeviceptr>(where, 1)[0], numbers);
  EXPECT_CU(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal_v2(&where, nullptr, module, "nothing"));
  EXPECT_CU(CUDA_SUCCESS, cuModuleUnload(module));
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(module));
}

TEST_F(Modules, InvalidPtxNamesLineAndReasonInTheErrorLog) {
  const std::string ptx = kHeader + ".visible .entry broken()\n{\n  nonsense.u32 %r1;\n  ret;\n}\n";
  std::array<char, 512> log{};
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log.data(), reinterpret_cast<void*>(log.size())};
  CUmodule module = nullptr;
  EXPECT_CU(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, ptx.c_str(), 2, options, values));
  EXPECT_NE(std::strstr(log.data(), "line 6"), nullptr) << log.data();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(values[1]), std::strlen(log.data()) + 1);
}

TEST_F(Modules, MachineCodeAloneIsNoBinaryForThisDevice) {
  alignas(8) const char elf[64] = "\177ELF";
  CUmodule module = nullptr;
  EXPECT_CU(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&module, elf));
  EXPECT_CU(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, "/nowhere/at.all"));
}

TEST_F(Modules, ParametersAreLaidOutAsDeclared) {
  const CUfunction add = function(kAddPtx, "add");
  size_t offset = 0, bytes = 0;
  EXPECT_CU(CUDA_SUCCESS, cuFuncGetParamInfo(add, 1, &offset, &bytes));
  EXPECT_EQ(offset, 8u);
  EXPECT_EQ(bytes, 4u);
  EXPECT_CU(CUDA_SUCCESS, cuFuncGetParamInfo(add, 2, &offset, &bytes));
  EXPECT_EQ(offset, 12u);
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuFuncGetParamInfo(add, 3, &offset, &bytes));
  int threads = 0;
  EXPECT_CU(CUDA_SUCCESS, cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, add));
  EXPECT_EQ(threads, 1024);
}

TEST_F(Modules, LinkingTwoTextsGivesOneModule) {
  const std::string caller = kHeader + ".extern .func (.param .b32 r) seven();\n" + R"(
.visible .entry store(.param .u64 out)
{
  .reg .b32 %r<2>; .reg .b64 %d<2>;
  ld.param.u64 %d1, [out];
  { .param .b32 result;
    call.uni (result), seven, ();
    ld.param.b32 %r1, [result]; }
  st.global.u32 [%d1], %r1;
  ret;
}
)";
  const std::string callee = kHeader + R"(
.visible .func (.param .b32 r) seven()
{
  .reg .b32 %r<2>;
  mov.u32 %r1, 7;
  st.param.b32 [r], %r1;
  ret;
}
)";
  CUlinkState state = nullptr;
  ASSERT_OK(cuLinkCreate_v2(0, nullptr, nullptr, &state));
  for (const std::string* text : {&caller, &callee}) {
    EXPECT_CU(CUDA_SUCCESS, cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, const_cast<char*>(text->c_str()),
                                             text->size() + 1, "part", 0, nullptr, nullptr));
  }
  void* image = nullptr;
  size_t bytes = 0;
  ASSERT_OK(cuLinkComplete(state, &image, &bytes));
  CUmodule module = nullptr;
  CUfunction store = nullptr;
  ASSERT_OK(cuModuleLoadData(&module, image));
  ASSERT_OK(cuLinkDestroy(state));
  ASSERT_OK(cuModuleGetFunction(&store, module, "store"));
  CUdeviceptr out = allocate(4);
  void* parameters[] = {&out};
  ASSERT_OK(cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  EXPECT_EQ(read<uint32_t>(out, 1)[0], 7u);
}

TEST_F(Modules, ProcAddressesFollowVersionAndStreamFlag) {
  void* function = nullptr;
  CUdriverProcAddressQueryResult status{};
  EXPECT_CU(CUDA_SUCCESS, cuGetProcAddress_v2("cuCtxCreate", &function, 3020, 0, &status));
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuCtxCreate_v2));
  EXPECT_CU(CUDA_SUCCESS, cuGetProcAddress_v2("cuCtxCreate", &function, 12040, 0, &status));
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuCtxCreate_v3));
  EXPECT_CU(CUDA_SUCCESS, cuGetProcAddress_v2("cuLaunchKernel", &function, 12000,
                                              CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuLaunchKernel_ptsz));
  EXPECT_CU(CUDA_ERROR_NOT_FOUND, cuGetProcAddress_v2("cuMemAlloc", &function, 1000, 0, &status));
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
  EXPECT_CU(CUDA_ERROR_NOT_FOUND, cuGetProcAddress_v2("cuNothing", &function, 13000, 0, &status));
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

TEST_F(Modules, WhatIsNotSupportedSaysSo) {
  CUgraph graph = nullptr;
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, cuGraphCreate(&graph, 0));
  const void* table = this;
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, cuGetExportTable(&table, nullptr));
}

}  // namespace
}  // namespace vgpu::cpu::testing
