#include <cstring>

#include "tests/conformance/conformance.h"

namespace vgpu::conformance {
namespace {

const Covers covers{"BlobAppend",
                    "ModuleLoad",
                    "LibraryLoad",
                    "ModuleGetFunction",
                    "LibraryGetKernel",
                    "KernelGetFunction",
                    "LinkCreate",
                    "LinkAdd",
                    "LinkComplete",
                    "LinkRead",
                    "FunctionNames",
                    "LibraryGetModule",
                    "cuModuleUnload",
                    "cuModuleGetGlobal_v2",
                    "cuModuleGetFunctionCount",
                    "cuLibraryUnload",
                    "cuLibraryGetGlobal",
                    "cuLibraryGetManaged",
                    "cuLibraryGetKernelCount",
                    "cuFuncGetAttribute",
                    "cuFuncSetAttribute",
                    "cuFuncSetCacheConfig",
                    "cuFuncSetSharedMemConfig",
                    "cuFuncLoad",
                    "cuFuncIsLoaded",
                    "cuKernelGetAttribute",
                    "cuKernelSetAttribute",
                    "cuKernelSetCacheConfig",
                    "cuLinkDestroy",
                    "cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags",
                    "cuOccupancyAvailableDynamicSMemPerBlock"};

TEST_F(Conformance, FunctionsAreDescribed) {
  CUfunction add = function("add_one");
  size_t offset = 99, size = 99;
  OK(cuFuncGetParamInfo(add, 1, &offset, &size));
  EXPECT_EQ(offset, 8u);
  EXPECT_EQ(size, 4u);
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuFuncGetParamInfo(add, 2, &offset, &size));
  const char* name = nullptr;
  OK(cuFuncGetName(&name, add));
  EXPECT_STREQ(name, "add_one");
  int threads = 0;
  OK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, add));
  EXPECT_EQ(threads, 1024);
  OK(cuFuncSetCacheConfig(add, CU_FUNC_CACHE_PREFER_SHARED));
  OK(cuFuncSetSharedMemConfig(add, CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE));
  CUfunctionLoadingState state;
  OK(cuFuncLoad(add));
  OK(cuFuncIsLoaded(&state, add));
  EXPECT_EQ(state, CU_FUNCTION_LOADING_STATE_LOADED);
  CUfunction none;
  REFUSED(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&none, module_, "no_such_kernel"));
}

TEST_F(Conformance, ModuleListsItsFunctions) {
  unsigned count = 0;
  OK(cuModuleGetFunctionCount(&count, module_));
  EXPECT_EQ(count, 4u);
  std::vector<CUfunction> functions(count);
  OK(cuModuleEnumerateFunctions(functions.data(), count, module_));
  std::set<std::string> names;
  for (CUfunction found : functions) {
    const char* name = nullptr;
    OK(cuFuncGetName(&name, found));
    names.insert(name);
  }
  EXPECT_EQ(names, (std::set<std::string>{"add_one", "store_symbols", "wild_store", "dynamic_shared"}));
}

TEST_F(Conformance, GlobalsAreReadAndWrittenByBothSides) {
  RUNS_KERNELS();
  CUdeviceptr counter;
  size_t bytes;
  OK(cuModuleGetGlobal_v2(&counter, &bytes, module_, "counter"));
  EXPECT_EQ(bytes, 4u);
  EXPECT_EQ(words(counter, 1)[0], 7u);
  const unsigned changed = 40;
  OK(cuMemcpyHtoD_v2(counter, &changed, 4));
  const DeviceWords data(2);
  CUdeviceptr address = data.get();
  void* parameters[] = {&address};
  OK(cuLaunchKernel(function("store_symbols"), 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  EXPECT_EQ(words(data.get(), 2), (std::vector<unsigned>{40, 3}));
  REFUSED(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal_v2(&counter, &bytes, module_, "no_such_variable"));
}

TEST_F(Conformance, LibrariesBelongToNoContext) {
  RUNS_KERNELS();
  CUlibrary library;
  OK(cuLibraryLoadData(&library, kKernels, nullptr, nullptr, 0, nullptr, nullptr, 0));
  unsigned count = 0;
  OK(cuLibraryGetKernelCount(&count, library));
  EXPECT_EQ(count, 4u);
  CUkernel kernel;
  OK(cuLibraryGetKernel(&kernel, library, "add_one"));
  int threads = 0;
  OK(cuKernelGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel, device_));
  EXPECT_EQ(threads, 1024);
  OK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 64 * 1024, kernel, device_));
  OK(cuKernelSetCacheConfig(kernel, CU_FUNC_CACHE_PREFER_L1, device_));
  CUfunction fromKernel;
  OK(cuKernelGetFunction(&fromKernel, kernel));
  const DeviceWords data(1);
  OK(cuMemsetD32_v2(data.get(), 1, 1));
  CUdeviceptr address = data.get();
  unsigned one = 1;
  void* parameters[] = {&address, &one};
  OK(cuLaunchKernel(fromKernel, 1, 1, 1, 32, 1, 1, 0, nullptr, parameters, nullptr));
  OK(cuLaunchKernel(reinterpret_cast<CUfunction>(kernel), 1, 1, 1, 32, 1, 1, 0, nullptr, parameters,
                    nullptr));
  EXPECT_EQ(words(data.get(), 1)[0], 3u);
  CUdeviceptr counter;
  size_t bytes;
  OK(cuLibraryGetGlobal(&counter, &bytes, library, "counter"));
  EXPECT_EQ(words(counter, 1)[0], 7u);
  REFUSED(CUDA_ERROR_NOT_FOUND, cuLibraryGetManaged(&counter, &bytes, library, "no_such_variable"));
  CUmodule module;
  OK(cuLibraryGetModule(&module, library));
  OK(cuLibraryUnload(library));
}

TEST_F(Conformance, InvalidPtxIsRefusedWithALog) {
  char log[1024] = {};
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  CUmodule module;
  const char* text =
      ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry broken() {\n  nonsense.u32 %r1;\n}\n";
  REFUSED(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, text, 2, options, values));
  EXPECT_NE(std::strlen(log), 0u);
  REFUSED(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, "/no/such/file.ptx"));
}

TEST_F(Conformance, PiecesAreLinked) {
  CUlinkState link;
  OK(cuLinkCreate_v2(0, nullptr, nullptr, &link));
  std::string text = kKernels;
  OK(cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, text.data(), text.size() + 1, "kernels", 0, nullptr, nullptr));
  void* image = nullptr;
  size_t bytes = 0;
  OK(cuLinkComplete(link, &image, &bytes));
  EXPECT_GT(bytes, 0u);
  CUmodule module;
  OK(cuModuleLoadData(&module, image));
  OK(cuLinkDestroy(link));
  CUfunction add;
  OK(cuModuleGetFunction(&add, module, "add_one"));
  OK(cuModuleUnload(module));
  REFUSED(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(module));
}

TEST_F(Conformance, OccupancyFollowsTheBlock) {
  int blocks = 0;
  OK(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&blocks, function("add_one"), 256, 0,
                                                          CU_OCCUPANCY_DEFAULT));
  EXPECT_GE(blocks, 1);
  size_t dynamic = 0;
  OK(cuOccupancyAvailableDynamicSMemPerBlock(&dynamic, function("add_one"), 1, 256));
  EXPECT_GT(dynamic, 0u);
  int grid = 0, block = 0;
  OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, function("add_one"), nullptr, 0, 0));
  EXPECT_GE(block, 32);
  EXPECT_GE(grid, 1);
}

TEST_F(Conformance, DynamicSharedMemoryIsLimitedByTheFunction) {
  RUNS_KERNELS();
  CUfunction probe = function("dynamic_shared");
  const DeviceWords data(1);
  CUdeviceptr address = data.get();
  void* parameters[] = {&address};
  REFUSED(CUDA_ERROR_INVALID_VALUE,
          cuLaunchKernel(probe, 1, 1, 1, 1, 1, 1, 100 * 1024, nullptr, parameters, nullptr));
  OK(cuFuncSetAttribute(probe, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100 * 1024));
  OK(cuLaunchKernel(probe, 1, 1, 1, 1, 1, 1, 100 * 1024, nullptr, parameters, nullptr));
  EXPECT_EQ(words(data.get(), 1)[0], 100u * 1024);
}

}  // namespace
}  // namespace vgpu::conformance
