#include <atomic>
#include <cstdlib>
#include <thread>

#include "tests/conformance/conformance.h"

namespace vgpu::conformance {
namespace {

const Covers covers{"Launch",
                    "Mark",
                    "HostFunction",
                    "HostFunctionDone",
                    "EventRecord",
                    "EndCapture",
                    "ExchangeCaptureMode",
                    "cuStreamCreateWithPriority",
                    "cuStreamDestroy_v2",
                    "cuStreamSynchronize",
                    "cuStreamWaitEvent",
                    "cuStreamWriteValue32_v2",
                    "cuStreamWriteValue64_v2",
                    "cuStreamWaitValue32_v2",
                    "cuStreamWaitValue64_v2",
                    "cuStreamAttachMemAsync",
                    "cuStreamGetAttribute",
                    "cuStreamSetAttribute",
                    "cuStreamBeginCapture_v2",
                    "cuStreamIsCapturing",
                    "cuStreamQuery",
                    "cuStreamCopyAttributes",
                    "cuEventCreate",
                    "cuEventDestroy_v2",
                    "cuEventSynchronize",
                    "cuEventElapsedTime_v2",
                    "cuGraphDestroy",
                    "cuEventQuery"};

TEST_F(Conformance, LaunchesAreRefusedAtOnceWhereTheyAreWrong) {
  CUfunction add = function("add_one");
  const DeviceWords data(1);
  CUdeviceptr address = data.get();
  unsigned one = 1;
  void* parameters[] = {&address, &one};
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add, 0, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  REFUSED(CUDA_ERROR_INVALID_VALUE,
          cuLaunchKernel(add, 1, 1, 1, 2048, 1, 1, 0, nullptr, parameters, nullptr));
  REFUSED(CUDA_ERROR_INVALID_VALUE,
          cuLaunchKernel(add, 1, 70000, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  REFUSED(CUDA_ERROR_INVALID_HANDLE,
          cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
}

TEST_F(Conformance, BothFormsOfParametersArrive) {
  RUNS_KERNELS();
  CUfunction add = function("add_one");
  const DeviceWords data(1);
  OK(cuMemsetD32_v2(data.get(), 0, 1));
  struct {
    CUdeviceptr address;
    unsigned count;
  } packed{data.get(), 1};
  size_t bytes = sizeof packed;
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                   CU_LAUNCH_PARAM_END};
  OK(cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra));
  CUlaunchConfig config{};
  config.gridDimX = config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
  config.blockDimX = 32;
  void* parameters[] = {&packed.address, &packed.count};
  OK(cuLaunchKernelEx(&config, add, parameters, nullptr));
  OK(cuLaunchCooperativeKernel(add, 1, 1, 1, 32, 1, 1, 0, nullptr, parameters));
  EXPECT_EQ(words(data.get(), 1)[0], 3u);
}

TEST_F(Conformance, StreamsKeepTheirOrderAndTheirProperties) {
  RUNS_KERNELS();
  CUstream stream, other;
  OK(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, -1));
  OK(cuStreamCreateWithPriority(&other, CU_STREAM_DEFAULT, 0));
  unsigned flags = 9;
  int priority = 9;
  OK(cuStreamGetFlags(stream, &flags));
  OK(cuStreamGetPriority(stream, &priority));
  EXPECT_EQ(flags, unsigned{CU_STREAM_NON_BLOCKING});
  EXPECT_EQ(priority, -1);
  const DeviceWords data(1000);
  OK(cuMemsetD32Async(data.get(), 0, 1000, stream));
  for (int i = 0; i < 50; ++i) addOne(data.get(), 1000, stream);
  OK(cuStreamSynchronize(stream));
  EXPECT_EQ(cuStreamQuery(stream), CUDA_SUCCESS);
  EXPECT_EQ(words(data.get(), 1000), std::vector<unsigned>(1000, 50));
  CUlaunchAttributeValue value{};
  OK(cuStreamGetAttribute(stream, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value));
  EXPECT_EQ(value.priority, -1);
  value.syncPolicy = CU_SYNC_POLICY_SPIN;
  OK(cuStreamSetAttribute(stream, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
  OK(cuStreamCopyAttributes(other, stream));
  OK(cuStreamDestroy_v2(other));
  OK(cuStreamDestroy_v2(stream));
  REFUSED(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(stream));
}

TEST_F(Conformance, EventsOrderStreamsAndMeasureTime) {
  RUNS_KERNELS();
  CUstream first, second;
  CUevent start, end;
  OK(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
  OK(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
  OK(cuEventCreate(&start, CU_EVENT_DEFAULT));
  OK(cuEventCreate(&end, CU_EVENT_DEFAULT));
  EXPECT_EQ(cuEventQuery(start), CUDA_SUCCESS);  // never recorded
  const DeviceWords data(100);
  OK(cuEventRecord(start, first));
  OK(cuMemsetD32Async(data.get(), 7, 100, first));
  OK(cuEventRecord(end, first));
  OK(cuStreamWaitEvent(second, end, 0));
  addOne(data.get(), 100, second);
  OK(cuStreamSynchronize(second));
  EXPECT_EQ(words(data.get(), 100), std::vector<unsigned>(100, 8));
  OK(cuEventSynchronize(end));
  EXPECT_EQ(cuEventQuery(end), CUDA_SUCCESS);
  float milliseconds = -1;
  OK(cuEventElapsedTime(&milliseconds, start, end));
  EXPECT_GE(milliseconds, 0);
  OK(cuEventDestroy_v2(start));
  REFUSED(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(start, first));
  OK(cuEventDestroy_v2(end));
  OK(cuStreamDestroy_v2(first));
  OK(cuStreamDestroy_v2(second));
}

TEST_F(Conformance, QueriesSeeTheEndOfWork) {
  RUNS_KERNELS();
  const DeviceWords data(1 << 16);
  CUevent done;
  OK(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
  OK(cuMemsetD32_v2(data.get(), 0, 1 << 16));
  for (int i = 0; i < 20; ++i) addOne(data.get(), 1 << 16);
  OK(cuEventRecord(done, nullptr));
  CUresult status;
  while ((status = cuEventQuery(done)) == CUDA_ERROR_NOT_READY) std::this_thread::yield();
  OK(status);
  while ((status = cuStreamQuery(nullptr)) == CUDA_ERROR_NOT_READY) std::this_thread::yield();
  OK(status);
  EXPECT_EQ(words(data.get(), 2), (std::vector<unsigned>{20, 20}));
  OK(cuEventDestroy_v2(done));
}

TEST_F(Conformance, HostFunctionsRunInStreamOrder) {
  CUstream stream;
  OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  unsigned* host = nullptr;
  OK(cuMemAllocHost_v2(reinterpret_cast<void**>(&host), 4));
  const DeviceWords data(1);
  OK(cuMemsetD32Async(data.get(), 41, 1, stream));
  OK(cuMemcpyDtoHAsync_v2(host, data.get(), 4, stream));
  struct Seen {
    const unsigned* from;
    std::atomic<unsigned> value{0};
  } seen{host};
  OK(cuLaunchHostFunc(
      stream,
      [](void* argument) {
        auto* seen = static_cast<Seen*>(argument);
        seen->value = *seen->from + 1;
      },
      &seen));
  OK(cuStreamSynchronize(stream));
  EXPECT_EQ(seen.value, 42u);
  OK(cuMemFreeHost(host));
  OK(cuStreamDestroy_v2(stream));
}

TEST_F(Conformance, ValuesAreWrittenAndWaitedFor) {
  const DeviceWords data(4);
  OK(cuMemsetD32_v2(data.get(), 0, 4));
  CUstream writer, waiter;
  OK(cuStreamCreate(&writer, CU_STREAM_NON_BLOCKING));
  OK(cuStreamCreate(&waiter, CU_STREAM_NON_BLOCKING));
  OK(cuStreamSynchronize(nullptr));
  OK(cuStreamWaitValue32_v2(waiter, data.get(), 5, CU_STREAM_WAIT_VALUE_GEQ));
  OK(cuStreamWaitValue64_v2(waiter, data.get() + 8, 6, CU_STREAM_WAIT_VALUE_EQ));
  OK(cuMemsetD32Async(data.get() + 4, 1, 1, waiter));
  OK(cuStreamWriteValue64_v2(writer, data.get() + 8, 6, 0));
  OK(cuStreamWriteValue32_v2(writer, data.get(), 5, 0));
  OK(cuStreamSynchronize(waiter));
  EXPECT_EQ(words(data.get(), 4), (std::vector<unsigned>{5, 1, 6, 0}));
  OK(cuStreamDestroy_v2(writer));
  OK(cuStreamDestroy_v2(waiter));
}

TEST_F(Conformance, AttachmentBelongsToManagedMemory) {
  CUdeviceptr managed;
  OK(cuMemAllocManaged(&managed, 4096, CU_MEM_ATTACH_HOST));
  OK(cuStreamAttachMemAsync(nullptr, managed, 0, CU_MEM_ATTACH_GLOBAL));
  OK(cuCtxSynchronize());
  OK(cuMemFree_v2(managed));
}

TEST_F(Conformance, CaptureRefusesWhatIsUnsafe) {
  CUstream stream;
  OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  CUstreamCaptureStatus status;
  OK(cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  CUdeviceptr address;
  REFUSED(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc_v2(&address, 16));
  OK(cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
  CUgraph graph;
  REFUSED(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(stream, &graph));
  REFUSED(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture(stream, &graph));
  OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  OK(cuStreamEndCapture(stream, &graph));
  OK(cuGraphDestroy(graph));
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  OK(cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
  OK(cuThreadExchangeStreamCaptureMode(&mode));
  OK(cuStreamDestroy_v2(stream));
}

// Last of its file: it ends the context's usefulness.
TEST_F(Conformance, WildStoreIsStickyInItsContextOnly) {
  RUNS_KERNELS();
  // Where every call waits for its work, the launch itself tells.
  const CUresult launched =
      cuLaunchKernel(function("wild_store"), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr);
  EXPECT_TRUE(launched == CUDA_SUCCESS || launched == CUDA_ERROR_ILLEGAL_ADDRESS) << launched;
  REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
  CUdeviceptr address;
  REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemAlloc_v2(&address, 16));
}

}  // namespace
}  // namespace vgpu::conformance
