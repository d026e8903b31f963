#include <atomic>
#include <chrono>
#include <thread>

#include "cpu_driver/api/testing.h"

extern "C" void vgpuCpuDriverSetOutput(void (*)(int, const void*, size_t, void*), void*);

namespace vgpu::cpu::testing {
namespace {

class Launches : public ApiTest {
 protected:
  CUresult launchAdd(CUfunction add, CUdeviceptr out, unsigned addend, unsigned n, unsigned grid,
                     unsigned block, CUstream stream = nullptr) {
    void* parameters[] = {&out, &addend, &n};
    return cuLaunchKernel(add, grid, 1, 1, block, 1, 1, 0, stream, parameters, nullptr);
  }
};

TEST_F(Launches, EveryThreadOfEveryBlockRuns) {
  const CUfunction add = function(kAddPtx, "add");
  constexpr unsigned kCount = 100001;
  const CUdeviceptr memory = allocate(kCount * 4);
  ASSERT_OK(cuMemsetD32_v2(memory, 5, kCount));
  for (const unsigned block : {32u, 96u, 256u, 1024u}) {
    EXPECT_CU(CUDA_SUCCESS, launchAdd(add, memory, 1, kCount, (kCount + block - 1) / block, block));
  }
  EXPECT_EQ(read<uint32_t>(memory, kCount), std::vector<uint32_t>(kCount, 9));
}

TEST_F(Launches, ParametersMayComeAsOneBuffer) {
  const CUfunction add = function(kAddPtx, "add");
  const CUdeviceptr memory = allocate(4);
  ASSERT_OK(cuMemsetD32_v2(memory, 1, 1));
  struct {
    CUdeviceptr out;
    unsigned addend, n;
  } block{memory, 41, 1};
  size_t bytes = sizeof block;
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &block, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                   CU_LAUNCH_PARAM_END};
  EXPECT_CU(CUDA_SUCCESS, cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra));
  EXPECT_EQ(read<uint32_t>(memory, 1)[0], 42u);
  bytes = 4;
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra));
}

TEST_F(Launches, AKernelThatCannotRunIsExplainedOnceToTheProgram) {
  static std::string said;
  vgpuCpuDriverSetOutput(
      [](int fd, const void* bytes, size_t size, void*) {
        if (fd == 2) said.append(static_cast<const char*>(bytes), size);
      },
      nullptr);
  const CUfunction kernel =
      function(kHeader + ".visible .entry modern()\n{\n  wgmma.fence.sync.aligned;\n  ret;\n}\n", "modern");
  for (int i = 0; i < 2; ++i) {
    EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED,
              cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr));
  }
  vgpuCpuDriverSetOutput(nullptr, nullptr);
  EXPECT_EQ(said.rfind("vgpu: the kernel modern cannot run: ", 0), 0u) << said;
  EXPECT_NE(said.find("wgmma.fence"), std::string::npos) << said;
  EXPECT_EQ(said.find('\n'), said.size() - 1) << said;
}

TEST_F(Launches, LimitsAreRefusedAtTheCall) {
  const CUfunction add = function(kAddPtx, "add");
  const CUdeviceptr memory = allocate(4);
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, launchAdd(add, memory, 1, 1, 0, 32));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, launchAdd(add, memory, 1, 1, 1, 0));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, launchAdd(add, memory, 1, 1, 1, 1025));
  CUdeviceptr out = memory;
  unsigned one = 1;
  void* parameters[] = {&out, &one, &one};
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE,
            cuLaunchKernel(add, 1, 65536, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE,
            cuLaunchKernel(add, 1, 1, 1, 1, 1, 65, 0, nullptr, parameters, nullptr));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE,
            cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 48 * 1024 + 1, nullptr, parameters, nullptr));
  EXPECT_CU(CUDA_SUCCESS,
            cuFuncSetAttribute(add, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 227 * 1024));
  EXPECT_CU(CUDA_SUCCESS, cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 227 * 1024, nullptr, parameters, nullptr));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE,
            cuFuncSetAttribute(add, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 227 * 1024 + 1));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE,
            cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  EXPECT_CU(CUDA_SUCCESS, cuCtxSynchronize());
}

TEST_F(Launches, ACooperativeGridMustFit) {
  const CUfunction add = function(kAddPtx, "add");
  CUdeviceptr out = allocate(4);
  unsigned one = 1;
  void* parameters[] = {&out, &one, &one};
  int perMultiprocessor = 0, multiprocessors = 0;
  ASSERT_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&perMultiprocessor, add, 256, 0));
  EXPECT_EQ(perMultiprocessor, 8);
  ASSERT_OK(cuDeviceGetAttribute(&multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
  const auto most = static_cast<unsigned>(perMultiprocessor * multiprocessors);
  EXPECT_CU(CUDA_SUCCESS, cuLaunchCooperativeKernel(add, most, 1, 1, 256, 1, 1, 0, nullptr, parameters));
  EXPECT_CU(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
            cuLaunchCooperativeKernel(add, most + 1, 1, 1, 256, 1, 1, 0, nullptr, parameters));
  EXPECT_CU(CUDA_SUCCESS, cuCtxSynchronize());
}

TEST_F(Launches, AnIllegalAddressStaysTheContextsErrorFromTheNextWait) {
  const CUfunction add = function(kAddPtx, "add");
  const CUdeviceptr memory = allocate(4096);
  EXPECT_CU(CUDA_SUCCESS, launchAdd(add, memory + 4096, 1, 1, 1, 1));  // the page past the end
  EXPECT_CU(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
  EXPECT_CU(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
  CUdeviceptr more = 0;
  EXPECT_CU(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemAlloc_v2(&more, 4));
  EXPECT_CU(CUDA_ERROR_ILLEGAL_ADDRESS, launchAdd(add, memory, 1, 1, 1, 1));
  renewContext();
  EXPECT_CU(CUDA_SUCCESS, cuCtxSynchronize());
}

TEST_F(Launches, NullAndFreedMemoryFault) {
  for (const bool null : {true, false}) {
    const CUfunction add = function(kAddPtx, "add");
    CUdeviceptr memory = 0;
    if (!null) {
      memory = allocate(100);
      ASSERT_OK(cuMemFree_v2(memory));
    }
    EXPECT_CU(CUDA_SUCCESS, launchAdd(add, memory, 1, 1, 1, 1));
    EXPECT_CU(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(nullptr));
    renewContext();
  }
}

TEST_F(Launches, StreamsOverlap) {
  // One kernel waits for a flag that another stream's copy sets.
  const CUfunction spin = function(kSpinPtx, "spin");
  CUstream first = nullptr, second = nullptr;
  ASSERT_OK(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
  ASSERT_OK(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
  CUdeviceptr flag = allocate(4);
  ASSERT_OK(cuMemsetD32_v2(flag, 0, 1));
  void* parameters[] = {&flag};
  ASSERT_OK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, first, parameters, nullptr));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuStreamQuery(first));
  ASSERT_OK(cuMemsetD32Async(flag, 1, 1, second));
  ASSERT_OK(cuStreamSynchronize(first));
}

TEST_F(Launches, TheProgramSetsAFlagThatAKernelWaitsFor) {
  const CUfunction spin = function(kSpinPtx, "spin");
  void* pinned = nullptr;
  ASSERT_OK(cuMemHostAlloc(&pinned, 4, CU_MEMHOSTALLOC_DEVICEMAP));
  std::atomic_ref<uint32_t> flag(*static_cast<uint32_t*>(pinned));
  flag = 0;
  void* parameters[] = {&pinned};
  ASSERT_OK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuStreamQuery(nullptr));
  flag = 1;
  ASSERT_OK(cuCtxSynchronize());
}

TEST_F(Launches, MoreKernelsThanWorkersWaitForOneMore) {
  constexpr size_t kWaiting = 20;
  const CUfunction spin = function(kSpinPtx, "spin"), add = function(kAddPtx, "add");
  const CUdeviceptr flag = allocate(4);
  ASSERT_OK(cuMemsetD32_v2(flag, 0, 1));
  std::vector<CUstream> streams(kWaiting + 1);
  for (CUstream& stream : streams) ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr waited = flag;
  void* parameters[] = {&waited};
  for (size_t i = 0; i < kWaiting; ++i)
    ASSERT_OK(cuLaunchKernel(spin, 4, 1, 1, 32, 1, 1, 0, streams[i], parameters, nullptr));
  ASSERT_OK(launchAdd(add, flag, 1, 1, 1, 32, streams[kWaiting]));
  ASSERT_OK(cuCtxSynchronize());
  for (const CUstream stream : streams) ASSERT_OK(cuStreamDestroy_v2(stream));
}

TEST_F(Launches, TenThousandLaunchesAddUp) {
  const CUfunction add = function(kAddPtx, "add");
  const CUdeviceptr memory = allocate(128);
  ASSERT_OK(cuMemsetD32_v2(memory, 0, 32));
  for (int i = 0; i < 10000; ++i) ASSERT_OK(launchAdd(add, memory, 1, 32, 1, 32));
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_EQ(read<uint32_t>(memory, 32), std::vector<uint32_t>(32, 10000));
}

// A kernel without loops runs in the call that launches it, once it is known to be short.
class ShortLaunches : public Launches {
 protected:
  void SetUp() override {
    Launches::SetUp();
    add_ = function(kAddPtx, "add");
    memory_ = allocate(128);
    ASSERT_OK(cuMemsetD32_v2(memory_, 0, 32));
    for (int i = 0; i < 3; ++i) {  // compiled, measured
      ASSERT_OK(launchAdd(add_, memory_, 0, 32, 1, 32));
      ASSERT_OK(cuCtxSynchronize());
    }
  }
  // A stream that is held by a kernel until release().
  CUstream heldStream(unsigned flags) {
    CUstream stream = nullptr;
    EXPECT_CU(CUDA_SUCCESS, cuStreamCreate(&stream, flags));
    flag_ = allocate(4);
    EXPECT_CU(CUDA_SUCCESS, cuMemsetD32_v2(flag_, 0, 1));
    EXPECT_CU(CUDA_SUCCESS, cuCtxSynchronize());  // release() must come after it
    void* parameters[] = {&flag_};
    EXPECT_CU(CUDA_SUCCESS,
              cuLaunchKernel(function(kSpinPtx, "spin"), 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr));
    return stream;
  }
  void release() {
    CUstream other = nullptr;
    ASSERT_OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    ASSERT_OK(cuMemsetD32Async(flag_, 1, 1, other));
  }

  CUfunction add_ = nullptr;
  CUdeviceptr memory_ = 0, flag_ = 0;
};

TEST_F(ShortLaunches, DoNotWaitForAnotherStream) {
  heldStream(CU_STREAM_NON_BLOCKING);
  ASSERT_OK(launchAdd(add_, memory_, 5, 32, 1, 32));
  ASSERT_OK(cuStreamSynchronize(nullptr));
  release();
  EXPECT_EQ(read<uint32_t>(memory_, 32), std::vector<uint32_t>(32, 5));
}

TEST_F(ShortLaunches, WaitForWhatIsBeforeThemInTheirStream) {
  const CUstream stream = heldStream(CU_STREAM_NON_BLOCKING);
  ASSERT_OK(launchAdd(add_, memory_, 5, 32, 1, 32, stream));
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuStreamQuery(stream));
  EXPECT_EQ(read<uint32_t>(memory_, 1)[0], 0u);
  release();
  ASSERT_OK(cuStreamSynchronize(stream));
  EXPECT_EQ(read<uint32_t>(memory_, 1)[0], 5u);
}

TEST_F(ShortLaunches, KeepTheOrderOfTheLegacyStream) {
  heldStream(CU_STREAM_DEFAULT);
  ASSERT_OK(launchAdd(add_, memory_, 5, 32, 1, 32));  // the legacy stream waits for blocking ones
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuStreamQuery(nullptr));
  CUstream blocking = nullptr;
  ASSERT_OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  ASSERT_OK(launchAdd(add_, memory_, 5, 32, 1, 32, blocking));  // and they wait for it
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuStreamQuery(blocking));
  release();
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_EQ(read<uint32_t>(memory_, 1)[0], 10u);
}

TEST_F(ShortLaunches, ThatFaultFailTheContextAtTheNextCallAsOthersDo) {
  EXPECT_CU(CUDA_SUCCESS, launchAdd(add_, memory_ + 4096, 1, 1, 1, 32));
  EXPECT_CU(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
  renewContext();
}

TEST_F(ShortLaunches, OfSeveralThreadsInOneStreamDoNotOverlap) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      ASSERT_OK(cuCtxSetCurrent(context_));
      for (int i = 0; i < 5000; ++i) ASSERT_OK(launchAdd(add_, memory_, 1, 32, 1, 32));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_EQ(read<uint32_t>(memory_, 32), std::vector<uint32_t>(32, 20000));
}

TEST_F(Launches, AKernelThatNeedsAClusterOfBlocksIsRefused) {
  for (const bool cluster : {true, false}) {
    const std::string ptx =
        ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k() .reqnctapercluster " +
        std::string(cluster ? "2" : "1") + " { ret; }\n";
    EXPECT_CU(cluster ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS,
              cuLaunchKernel(function(ptx, "k"), 2, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  }
  EXPECT_CU(CUDA_SUCCESS, cuCtxSynchronize());
}

TEST_F(Launches, ALibrarysKernelIsLaunchedAsAFunction) {
  CUlibrary library = nullptr;
  CUkernel kernel = nullptr;
  ASSERT_OK(cuLibraryLoadData(&library, kAddPtx.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0));
  ASSERT_OK(cuLibraryGetKernel(&kernel, library, "add"));
  const CUdeviceptr memory = allocate(4);
  ASSERT_OK(cuMemsetD32_v2(memory, 1, 1));
  EXPECT_CU(CUDA_SUCCESS, launchAdd(reinterpret_cast<CUfunction>(kernel), memory, 2, 1, 1, 1));
  EXPECT_EQ(read<uint32_t>(memory, 1)[0], 3u);
  const char* name = nullptr;
  EXPECT_CU(CUDA_SUCCESS, cuKernelGetName(&name, kernel));
  EXPECT_STREQ(name, "add");
  EXPECT_CU(CUDA_SUCCESS, cuLibraryUnload(library));
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE, launchAdd(reinterpret_cast<CUfunction>(kernel), memory, 2, 1, 1, 1));
}

TEST_F(Launches, ACapturedGraphRunsWhenItIsLaunched) {
  const CUfunction add = function(kAddPtx, "add");
  const CUdeviceptr memory = allocate(4);
  ASSERT_OK(cuMemsetD32_v2(memory, 0, 1));
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  ASSERT_OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  for (int i = 0; i < 3; ++i) ASSERT_OK(launchAdd(add, memory, 7, 1, 1, 1, stream));
  CUgraph graph = nullptr;
  ASSERT_OK(cuStreamEndCapture(stream, &graph));
  EXPECT_EQ(read<uint32_t>(memory, 1)[0], 0u);
  size_t nodes = 0;
  EXPECT_CU(CUDA_SUCCESS, cuGraphGetNodes(graph, nullptr, &nodes));
  EXPECT_EQ(nodes, 3u);
  CUgraphExec executable = nullptr;
  ASSERT_OK(cuGraphInstantiateWithFlags(&executable, graph, 0));
  ASSERT_OK(cuGraphDestroy(graph));
  for (int i = 0; i < 2; ++i) ASSERT_OK(cuGraphLaunch(executable, stream));
  ASSERT_OK(cuStreamSynchronize(stream));
  EXPECT_EQ(read<uint32_t>(memory, 1)[0], 42u);
  ASSERT_OK(cuGraphExecDestroy(executable));
}

}  // namespace
}  // namespace vgpu::cpu::testing
