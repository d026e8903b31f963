#include <thread>

#include "cpu_driver/api/testing.h"

namespace vgpu::cpu::testing {
namespace {

class Capture : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    ASSERT_OK(cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING));
    ASSERT_OK(cuStreamCreate(&other_, CU_STREAM_NON_BLOCKING));
    ASSERT_OK(cuEventCreate(&event_, CU_EVENT_DISABLE_TIMING));
  }
  CUresult end() {
    CUgraph graph = nullptr;
    return cuStreamEndCapture(stream_, &graph);
  }

  CUstream stream_ = nullptr, other_ = nullptr;
  CUevent event_ = nullptr;
};

TEST_F(Capture, AnUnsafeCallIsRefusedAndInvalidates) {
  ASSERT_OK(cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  CUdeviceptr memory = 0;
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc_v2(&memory, 4));
  CUstreamCaptureStatus status{};
  EXPECT_CU(CUDA_SUCCESS, cuStreamIsCapturing(stream_, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, end());
  EXPECT_CU(CUDA_ERROR_ILLEGAL_STATE, end());
}

TEST_F(Capture, AnotherThreadsAllocationInvalidatesOnlyAGlobalCapture) {
  for (const auto mode :
       {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_RELAXED}) {
    ASSERT_OK(cuStreamBeginCapture_v2(stream_, mode));
    CUresult allocated = CUDA_SUCCESS;
    std::thread([&] {
      cuCtxSetCurrent(context_);
      CUdeviceptr memory = 0;
      allocated = cuMemAlloc_v2(&memory, 4);
    }).join();
    const bool global = mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
    EXPECT_EQ(allocated, global ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS);
    EXPECT_CU(global ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS, end());
  }
}

TEST_F(Capture, AThreadMayExchangeItsMode) {
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  ASSERT_OK(cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
  ASSERT_OK(cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  CUdeviceptr memory = 0;
  EXPECT_CU(CUDA_SUCCESS, cuMemAlloc_v2(&memory, 4));
  EXPECT_CU(CUDA_SUCCESS, end());
  ASSERT_OK(cuThreadExchangeStreamCaptureMode(&mode));
}

TEST_F(Capture, WaitingForACapturingStreamIsRefused) {
  ASSERT_OK(cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_RELAXED));
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(stream_));
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, end());
}

TEST_F(Capture, AStreamThatJoinedMustBeJoinedBack) {
  const CUdeviceptr memory = allocate(4);
  for (const bool joined : {false, true}) {
    ASSERT_OK(cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_RELAXED));
    ASSERT_OK(cuEventRecord(event_, stream_));
    EXPECT_CU(CUDA_ERROR_CAPTURED_EVENT, cuEventQuery(event_));
    ASSERT_OK(cuStreamWaitEvent(other_, event_, 0));
    ASSERT_OK(cuMemsetD32Async(memory, 1, 1, other_));
    if (joined) {
      ASSERT_OK(cuEventRecord(event_, other_));
      ASSERT_OK(cuStreamWaitEvent(stream_, event_, 0));
    }
    EXPECT_CU(joined ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED, end());
  }
}

TEST_F(Capture, DependenciesOutOfACaptureAreRefused) {
  ASSERT_OK(cuEventRecord(event_, other_));
  ASSERT_OK(cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_RELAXED));
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, cuStreamWaitEvent(stream_, event_, 0));
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, end());
}

TEST_F(Capture, TheLegacyStreamMayNotDependOnACapture) {
  CUstream blocking = nullptr;
  ASSERT_OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  const CUdeviceptr memory = allocate(4);
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
            cuStreamBeginCapture_v2(nullptr, CU_STREAM_CAPTURE_MODE_RELAXED));
  ASSERT_OK(cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuMemsetD32Async(memory, 1, 1, nullptr));
  CUgraph graph = nullptr;
  EXPECT_CU(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &graph));
}

TEST_F(Capture, OnlyTheThreadThatBeganMayEnd) {
  ASSERT_OK(cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  CUresult elsewhere = CUDA_SUCCESS;
  std::thread([&] {
    cuCtxSetCurrent(context_);
    elsewhere = end();
  }).join();
  EXPECT_EQ(elsewhere, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
  EXPECT_CU(CUDA_SUCCESS, end());
}

}  // namespace
}  // namespace vgpu::cpu::testing
