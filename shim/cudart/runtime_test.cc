// The runtime on the CPU driver, in one process: what is the runtime's own doing rather than the driver's.
// Compiled and linked once for each version.
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

extern "C" {
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t sharedBytes, CUstream_st* stream);
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* sharedBytes, void* stream);
}

namespace {

constexpr const char* kPtx = R"(
.version 7.8
.target sm_80
.address_size 64
.visible .global .align 4 .u32 counter = 7;
.visible .entry add(.param .u64 to, .param .u32 value) {
  .reg .u64 %a;
  .reg .u32 %v, %w;
  ld.param.u64 %a, [to];
  ld.param.u32 %v, [value];
  ld.global.u32 %w, [%a];
  add.u32 %w, %w, %v;
  st.global.u32 [%a], %w;
  ret;
}
)";

class Runtime : public testing::Test {
 protected:
  void TearDown() override { cudaGetLastError(); }
};

// A library of kPtx, for tests that launch.
class Launch : public Runtime {
 protected:
  void SetUp() override {
    ASSERT_EQ(cudaLibraryLoadData(&library_, kPtx, nullptr, nullptr, 0, nullptr, nullptr, 0), cudaSuccess);
    ASSERT_EQ(cudaLibraryGetKernel(&kernel_, library_, "add"), cudaSuccess);
    ASSERT_EQ(cudaMalloc(&value_, sizeof(int)), cudaSuccess);
    ASSERT_EQ(cudaMemset(value_, 0, sizeof(int)), cudaSuccess);
  }

  void TearDown() override {
    EXPECT_EQ(cudaFree(value_), cudaSuccess);
    EXPECT_EQ(cudaLibraryUnload(library_), cudaSuccess);
  }

  const void* function() const { return reinterpret_cast<const void*>(kernel_); }

  cudaError_t launch(dim3 grid, dim3 block, unsigned addend, size_t sharedBytes = 0) {
    std::array<void*, 2> arguments = {static_cast<void*>(&value_), &addend};
    return cudaLaunchKernel(function(), grid, block, arguments.data(), sharedBytes, nullptr);
  }

  int read() const {
    int value = -1;
    EXPECT_EQ(cudaMemcpy(&value, value_, sizeof value, cudaMemcpyDeviceToHost), cudaSuccess);
    return value;
  }

  cudaLibrary_t library_ = nullptr;
  cudaKernel_t kernel_ = nullptr;
  void* value_ = nullptr;
};

TEST_F(Runtime, countsDevicesAndDescribesThem) {
  int count = 0;
  ASSERT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_GE(count, 1);
  cudaDeviceProp properties{};
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_STRNE(properties.name, "");
  EXPECT_EQ(properties.warpSize, 32);
  EXPECT_EQ(properties.major, 9);
  EXPECT_GT(properties.totalGlobalMem, 0u);
  int optIn = 0;
  ASSERT_EQ(cudaDeviceGetAttribute(&optIn, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
  EXPECT_EQ(properties.sharedMemPerBlockOptin, static_cast<size_t>(optIn));
  EXPECT_EQ(cudaGetDeviceProperties(&properties, count), cudaErrorInvalidDevice);
}

TEST_F(Runtime, keepsTheLastErrorUntilItIsTaken) {
  EXPECT_EQ(cudaSetDevice(1000), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);  // a success takes no error away
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(Runtime, keepsTheLastErrorForEachThread) {
  EXPECT_EQ(cudaSetDevice(-1), cudaErrorInvalidDevice);
  std::thread([] { EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess); }).join();
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
}

TEST_F(Runtime, doesNotKeepThatSomethingIsNotReady) {
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  static std::atomic<bool> go{false};
  ASSERT_EQ(cudaLaunchHostFunc(
                stream,
                [](void*) {
                  while (!go) usleep(100);
                },
                nullptr),
            cudaSuccess);
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
  go = true;
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST_F(Runtime, allocatesNothingAsANullPointer) {
  int something = 0;
  void* pointer = &something;
  EXPECT_EQ(cudaMalloc(&pointer, 0), cudaSuccess);
  EXPECT_EQ(pointer, nullptr);
  EXPECT_EQ(cudaMallocHost(&pointer, 0), cudaSuccess);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(nullptr), cudaSuccess);
  EXPECT_EQ(cudaMalloc(nullptr, 16), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMalloc(&pointer, size_t{1} << 60), cudaErrorMemoryAllocation);
}

TEST_F(Runtime, copiesInTheDirectionSaidAndInTheOneThatPointersShow) {
  std::vector<int> from(1000, 5);
  std::vector<int> to(1000, 0);
  size_t bytes = from.size() * sizeof(int);
  void* device = nullptr;
  ASSERT_EQ(cudaMalloc(&device, bytes), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(device, from.data(), bytes, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(to.data(), device, bytes, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(to, from);
  EXPECT_EQ(cudaMemcpy(to.data(), device, bytes, static_cast<cudaMemcpyKind>(77)),
            cudaErrorInvalidMemcpyDirection);
  EXPECT_EQ(cudaMemset(device, 1, bytes), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(to.data(), device, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(to[999], 0x01010101);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
}

TEST_F(Runtime, copiesRowsAndRefusesAPitchThatIsTooSmall) {
  constexpr size_t kWidth = 13;
  constexpr size_t kRows = 7;
  std::vector<unsigned char> from(kWidth * kRows);
  std::vector<unsigned char> to(kWidth * kRows);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<unsigned char>(i);
  void* device = nullptr;
  size_t pitch = 0;
  ASSERT_EQ(cudaMallocPitch(&device, &pitch, kWidth, kRows), cudaSuccess);
  EXPECT_GE(pitch, kWidth);
  ASSERT_EQ(cudaMemcpy2D(device, pitch, from.data(), kWidth, kWidth, kRows, cudaMemcpyHostToDevice),
            cudaSuccess);
  ASSERT_EQ(cudaMemcpy2D(to.data(), kWidth, device, pitch, kWidth, kRows, cudaMemcpyDeviceToHost),
            cudaSuccess);
  EXPECT_EQ(to, from);
  EXPECT_EQ(cudaMemcpy2D(to.data(), kWidth - 1, device, pitch, kWidth, kRows, cudaMemcpyDeviceToHost),
            cudaErrorInvalidPitchValue);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
}

TEST_F(Runtime, copiesToAndFromArrays) {
  constexpr size_t kWidth = 16;
  constexpr size_t kRows = 4;
  std::vector<float> from(kWidth * kRows);
  std::vector<float> to(kWidth * kRows);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i);
  size_t bytes = kWidth * sizeof(float);
  cudaChannelFormatDesc channel = cudaCreateChannelDesc(32, 0, 0, 0, cudaChannelFormatKindFloat);
  cudaArray_t array = nullptr;
  ASSERT_EQ(cudaMallocArray(&array, &channel, kWidth, kRows, cudaArrayDefault), cudaSuccess);
  ASSERT_EQ(cudaMemcpy2DToArray(array, 0, 0, from.data(), bytes, bytes, kRows, cudaMemcpyHostToDevice),
            cudaSuccess);
  ASSERT_EQ(cudaMemcpy2DFromArray(to.data(), bytes, array, 0, 0, bytes, kRows, cudaMemcpyDeviceToHost),
            cudaSuccess);
  EXPECT_EQ(to, from);
  // The older copies count bytes: from the middle of one row into the next.
  std::vector<float> part(12);
  ASSERT_EQ(cudaMemcpyFromArray(part.data(), array, 8 * sizeof(float), 1, 12 * sizeof(float),
                                cudaMemcpyDeviceToHost),
            cudaSuccess);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), from.begin() + 24));
  cudaExtent extent{};
  cudaChannelFormatDesc found{};
  ASSERT_EQ(cudaArrayGetInfo(&found, &extent, nullptr, array), cudaSuccess);
  EXPECT_EQ(extent.width, kWidth);
  EXPECT_EQ(found.x, 32);
  EXPECT_EQ(found.f, cudaChannelFormatKindFloat);
  EXPECT_EQ(cudaFreeArray(array), cudaSuccess);
  channel.y = 16;
  EXPECT_EQ(cudaMallocArray(&array, &channel, kWidth, kRows, 0), cudaErrorInvalidChannelDescriptor);
}

TEST_F(Runtime, saysWhatAPointerIs) {
  int local = 0;
  void* device = nullptr;
  void* pinned = nullptr;
  cudaPointerAttributes attributes{};
  ASSERT_EQ(cudaMalloc(&device, 64), cudaSuccess);
  ASSERT_EQ(cudaMallocHost(&pinned, 64), cudaSuccess);
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, device), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.device, 0);
  EXPECT_EQ(attributes.devicePointer, device);
  EXPECT_EQ(attributes.hostPointer, nullptr);
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, pinned), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  EXPECT_EQ(attributes.hostPointer, pinned);
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, &local), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  EXPECT_EQ(attributes.device, cudaInvalidDeviceId);
  EXPECT_EQ(attributes.hostPointer, &local);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST_F(Runtime, handsConfigurationsToTheInnermostLaunch) {
  dim3 grid;
  dim3 block;
  size_t sharedBytes = 0;
  cudaStream_t stream = nullptr;
  EXPECT_EQ(__cudaPushCallConfiguration({1, 2, 3}, {4, 5, 6}, 7, cudaStreamPerThread), 0u);
  EXPECT_EQ(__cudaPushCallConfiguration({9, 1, 1}, {1, 1, 1}, 0, nullptr), 0u);
  EXPECT_EQ(__cudaPopCallConfiguration(&grid, &block, &sharedBytes, static_cast<void*>(&stream)),
            cudaSuccess);
  EXPECT_EQ(grid.x, 9u);
  EXPECT_EQ(__cudaPopCallConfiguration(&grid, &block, &sharedBytes, static_cast<void*>(&stream)),
            cudaSuccess);
  EXPECT_EQ(block.z, 6u);
  EXPECT_EQ(sharedBytes, 7u);
  EXPECT_EQ(stream, cudaStreamPerThread);
  EXPECT_EQ(__cudaPopCallConfiguration(&grid, &block, &sharedBytes, static_cast<void*>(&stream)),
            cudaErrorMissingConfiguration);
}

TEST_F(Runtime, findsTheDriversFunctions) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult status{};
  EXPECT_EQ(cudaGetDriverEntryPointByVersion("cuMemAlloc", &function, 12000, cudaEnableDefault, &status),
            cudaSuccess);
  EXPECT_EQ(status, cudaDriverEntryPointSuccess);
  EXPECT_NE(function, nullptr);
  EXPECT_EQ(cudaGetDriverEntryPointByVersion("cuNothing", &function, 12000, cudaEnableDefault, &status),
            cudaSuccess);
  EXPECT_EQ(status, cudaDriverEntryPointSymbolNotFound);
  EXPECT_EQ(function, nullptr);
}

TEST_F(Runtime, refusesWhatNobodyRegistered) {
  int host = 0;
  void* address = nullptr;
  cudaFuncAttributes attributes{};
  EXPECT_EQ(cudaLaunchKernel(&host, 1, 1, nullptr, 0, nullptr), cudaErrorInvalidDeviceFunction);
  EXPECT_EQ(cudaFuncGetAttributes(&attributes, &host), cudaErrorInvalidDeviceFunction);
  EXPECT_EQ(cudaGetSymbolAddress(&address, &host), cudaErrorInvalidSymbol);
  EXPECT_EQ(cudaMemcpyToSymbol(&host, &host, 4, 0, cudaMemcpyHostToDevice), cudaErrorInvalidSymbol);
}

TEST_F(Runtime, startsAnewAfterAReset) {
  void* before = nullptr;
  void* after = nullptr;
  ASSERT_EQ(cudaMalloc(&before, 64), cudaSuccess);
  ASSERT_EQ(cudaDeviceReset(), cudaSuccess);
  EXPECT_EQ(cudaFree(before), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMalloc(&after, 64), cudaSuccess);
  EXPECT_EQ(cudaMemset(after, 0, 64), cudaSuccess);
  EXPECT_EQ(cudaFree(after), cudaSuccess);
  std::thread([] { EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess); }).join();
}

TEST_F(Runtime, isOfNoUseInAForkedChild) {
  ASSERT_EQ(cudaFree(nullptr), cudaSuccess);
  pid_t child = fork();
  if (child == 0) _exit(cudaDeviceSynchronize() == cudaErrorInitializationError ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Launch, runsAKernelOfALibrary) {
  EXPECT_EQ(launch(1, 1, 5), cudaSuccess);
  EXPECT_EQ(launch(1, 1, 6), cudaSuccess);
  EXPECT_EQ(read(), 11);
}

TEST_F(Launch, tellsImpossibleDimensionsFromOtherMistakes) {
  EXPECT_EQ(launch(0, 1, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(1, 1025, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(1, dim3(1, 1, 65), 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(dim3(1, 65536), 1, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(1, 1, 1, size_t{1} << 20), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(read(), 0);
}

TEST_F(Launch, takesAConfigurationWithAttributes) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributePriority;
  attribute.val.priority = 0;
  cudaLaunchConfig_t config{};
  config.gridDim = 1;
  config.blockDim = 1;
  config.attrs = &attribute;
  config.numAttrs = 1;
  unsigned addend = 3;
  std::array<void*, 2> arguments = {static_cast<void*>(&value_), &addend};
  EXPECT_EQ(cudaLaunchKernelExC(&config, function(), arguments.data()), cudaSuccess);
  EXPECT_EQ(read(), 3);
}

TEST_F(Launch, survivesAResetAsAHandle) {
  EXPECT_EQ(launch(1, 1, 1), cudaSuccess);
  ASSERT_EQ(cudaDeviceReset(), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&value_, sizeof(int)), cudaSuccess);
  ASSERT_EQ(cudaMemset(value_, 0, sizeof(int)), cudaSuccess);
  EXPECT_EQ(launch(1, 1, 4), cudaSuccess);
  EXPECT_EQ(read(), 4);
}

TEST_F(Launch, describesAKernel) {
  cudaFuncAttributes attributes{};
  ASSERT_EQ(cudaFuncGetAttributes(&attributes, function()), cudaSuccess);
  EXPECT_GE(attributes.maxThreadsPerBlock, 1);
  EXPECT_EQ(attributes.sharedSizeBytes, 0u);
  const char* name = nullptr;
  ASSERT_EQ(cudaFuncGetName(&name, function()), cudaSuccess);
  EXPECT_STREQ(name, "add");
  size_t offset = 0;
  size_t size = 0;
  ASSERT_EQ(cudaFuncGetParamInfo(function(), 1, &offset, &size), cudaSuccess);
  EXPECT_EQ(offset, 8u);
  EXPECT_EQ(size, 4u);
  int blocks = 0;
  EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function(), 128, 0), cudaSuccess);
  EXPECT_GE(blocks, 1);
}

TEST_F(Launch, findsVariablesOfALibrary) {
  void* address = nullptr;
  size_t bytes = 0;
  int value = 0;
  ASSERT_EQ(cudaLibraryGetGlobal(&address, &bytes, library_, "counter"), cudaSuccess);
  EXPECT_EQ(bytes, 4u);
  ASSERT_EQ(cudaMemcpy(&value, address, 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(value, 7);
  EXPECT_EQ(cudaLibraryGetGlobal(&address, &bytes, library_, "nothing"), cudaErrorSymbolNotFound);
  EXPECT_EQ(cudaLibraryGetKernel(&kernel_, library_, "nothing"), cudaErrorSymbolNotFound);
}

}  // namespace
