#include <atomic>
#include <chrono>
#include <thread>

#include "cpu_driver/api/testing.h"

namespace vgpu::cpu::testing {
namespace {

using namespace std::chrono_literals;
using Streams = ApiTest;

struct Gate {
  std::atomic<bool> open{false};
  std::atomic<bool> reached{false};
  static void wait(void* self) {
    auto* gate = static_cast<Gate*>(self);
    gate->reached = true;
    while (!gate->open) std::this_thread::sleep_for(100us);
  }
};

TEST_F(Streams, AHostFunctionHoldsItsStreamAndNoOther) {
  CUstream held = nullptr, other = nullptr;
  ASSERT_OK(cuStreamCreate(&held, CU_STREAM_NON_BLOCKING));
  ASSERT_OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
  const CUdeviceptr memory = allocate(8);
  ASSERT_OK(cuMemsetD32_v2(memory, 0, 2));
  Gate gate;
  ASSERT_OK(cuLaunchHostFunc(held, Gate::wait, &gate));
  ASSERT_OK(cuMemsetD32Async(memory, 1, 1, held));
  ASSERT_OK(cuMemsetD32Async(memory + 4, 2, 1, other));
  ASSERT_OK(cuStreamSynchronize(other));
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuStreamQuery(held));
  EXPECT_EQ(*reinterpret_cast<uint32_t*>(memory), 0u);
  EXPECT_EQ(*reinterpret_cast<uint32_t*>(memory + 4), 2u);
  gate.open = true;
  ASSERT_OK(cuStreamSynchronize(held));
  EXPECT_EQ(*reinterpret_cast<uint32_t*>(memory), 1u);
  EXPECT_CU(CUDA_SUCCESS, cuStreamQuery(held));
}

TEST_F(Streams, TheLegacyStreamOrdersAgainstBlockingStreamsOnly) {
  CUstream blocking = nullptr, free = nullptr;
  ASSERT_OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  ASSERT_OK(cuStreamCreate(&free, CU_STREAM_NON_BLOCKING));
  const CUdeviceptr memory = allocate(12);
  ASSERT_OK(cuMemsetD32_v2(memory, 0, 3));
  auto* values = reinterpret_cast<std::atomic<uint32_t>*>(memory);
  Gate gate;
  ASSERT_OK(cuLaunchHostFunc(blocking, Gate::wait, &gate));
  ASSERT_OK(cuMemsetD32Async(memory, 1, 1, nullptr));  // waits for the blocking stream
  ASSERT_OK(cuMemsetD32Async(memory + 4, 1, 1, blocking));
  ASSERT_OK(cuMemsetD32Async(memory + 8, 1, 1, free));
  ASSERT_OK(cuStreamSynchronize(free));
  EXPECT_EQ(values[0], 0u);
  EXPECT_EQ(values[1], 0u);
  EXPECT_EQ(values[2], 1u);
  gate.open = true;
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_EQ(values[0], 1u);
  EXPECT_EQ(values[1], 1u);
}

TEST_F(Streams, AnEventCarriesTheOrderFromOneStreamToAnother) {
  CUstream first = nullptr, second = nullptr;
  ASSERT_OK(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
  ASSERT_OK(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
  CUevent event = nullptr;
  ASSERT_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  const CUdeviceptr memory = allocate(4);
  ASSERT_OK(cuMemsetD32_v2(memory, 0, 1));
  Gate gate;
  EXPECT_CU(CUDA_SUCCESS, cuEventQuery(event));
  ASSERT_OK(cuLaunchHostFunc(first, Gate::wait, &gate));
  ASSERT_OK(cuEventRecord(event, first));
  ASSERT_OK(cuStreamWaitEvent(second, event, 0));
  ASSERT_OK(cuMemsetD32Async(memory, 5, 1, second));
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuEventQuery(event));
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(*reinterpret_cast<std::atomic<uint32_t>*>(memory), 0u);
  gate.open = true;
  ASSERT_OK(cuStreamSynchronize(second));
  EXPECT_EQ(*reinterpret_cast<std::atomic<uint32_t>*>(memory), 5u);
  ASSERT_OK(cuEventSynchronize(event));
}

TEST_F(Streams, EventsMeasureTime) {
  CUevent start = nullptr, end = nullptr, untimed = nullptr;
  ASSERT_OK(cuEventCreate(&start, 0));
  ASSERT_OK(cuEventCreate(&end, 0));
  ASSERT_OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
  float milliseconds = -1;
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, start, end));
  ASSERT_OK(cuEventRecord(start, nullptr));
  ASSERT_OK(cuLaunchHostFunc(nullptr, [](void*) { std::this_thread::sleep_for(20ms); }, nullptr));
  ASSERT_OK(cuEventRecord(end, nullptr));
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuEventElapsedTime(&milliseconds, start, end));
  ASSERT_OK(cuEventSynchronize(end));
  ASSERT_OK(cuEventElapsedTime(&milliseconds, start, end));
  EXPECT_GE(milliseconds, 20.0f);
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, start, untimed));
}

TEST_F(Streams, HostFunctionsMayNotCallCuda) {
  CUresult inside = CUDA_SUCCESS;
  ASSERT_OK(cuLaunchHostFunc(
      nullptr, [](void* result) { *static_cast<CUresult*>(result) = cuCtxSynchronize(); }, &inside));
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_EQ(inside, CUDA_ERROR_NOT_PERMITTED);
}

TEST_F(Streams, ACallbackIsToldTheStatus) {
  struct Seen {
    CUresult status = CUDA_ERROR_UNKNOWN;
  } seen;
  ASSERT_OK(cuStreamAddCallback(
      nullptr, [](CUstream, CUresult status, void* data) { static_cast<Seen*>(data)->status = status; },
      &seen, 0));
  ASSERT_OK(cuStreamSynchronize(nullptr));
  EXPECT_EQ(seen.status, CUDA_SUCCESS);
}

TEST_F(Streams, AStreamWaitsForAValue) {
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  const CUdeviceptr memory = allocate(8);
  ASSERT_OK(cuMemsetD32_v2(memory, 0, 2));
  ASSERT_OK(cuStreamWaitValue32_v2(stream, memory, 3, CU_STREAM_WAIT_VALUE_GEQ));
  ASSERT_OK(cuStreamWriteValue32_v2(stream, memory + 4, 8, 0));
  EXPECT_CU(CUDA_ERROR_NOT_READY, cuStreamQuery(stream));
  reinterpret_cast<std::atomic<uint32_t>*>(memory)->store(4);
  ASSERT_OK(cuStreamSynchronize(stream));
  EXPECT_EQ(*reinterpret_cast<uint32_t*>(memory + 4), 8u);
}

TEST_F(Streams, ThePerThreadStreamIsTheThreadsOwn) {
  unsigned long long legacy = 0, mine = 0, same = 0, theirs = 0;
  ASSERT_OK(cuStreamGetId(nullptr, &legacy));
  ASSERT_OK(cuStreamGetId_ptsz(nullptr, &mine));
  ASSERT_OK(cuStreamGetId(CU_STREAM_PER_THREAD, &same));
  std::thread([&] {
    EXPECT_CU(CUDA_SUCCESS, cuCtxSetCurrent(context_));
    EXPECT_CU(CUDA_SUCCESS, cuStreamGetId_ptsz(nullptr, &theirs));
  }).join();
  EXPECT_NE(mine, legacy);
  EXPECT_EQ(mine, same);
  EXPECT_NE(mine, theirs);
}

TEST_F(Streams, HandlesThatAreNoneAreRefused) {
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, 0));
  ASSERT_OK(cuStreamDestroy_v2(stream));
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(stream));
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy_v2(stream));
  CUevent event = nullptr;
  ASSERT_OK(cuEventCreate(&event, 0));
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(reinterpret_cast<CUstream>(event)));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(&stream, 99));
}

TEST_F(Streams, ManyThreadsSubmitToManyStreams) {
  constexpr int kThreads = 8, kRounds = 300;
  const CUdeviceptr memory = allocate(kThreads * 4);
  ASSERT_OK(cuMemsetD32_v2(memory, 0, kThreads));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      cuCtxSetCurrent(context_);
      CUstream stream = nullptr;
      CUevent event = nullptr;
      EXPECT_CU(CUDA_SUCCESS, cuStreamCreate(&stream, t % 2 ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT));
      EXPECT_CU(CUDA_SUCCESS, cuEventCreate(&event, 0));
      for (int i = 1; i <= kRounds; ++i) {
        EXPECT_CU(CUDA_SUCCESS,
                  cuMemsetD32Async(memory + static_cast<size_t>(t) * 4, static_cast<unsigned>(i), 1, stream));
        EXPECT_CU(CUDA_SUCCESS, cuEventRecord(event, stream));
        if (i % 50 == 0) EXPECT_CU(CUDA_SUCCESS, cuMemsetD8Async(memory, 0, 0, nullptr));
        if (i % 30 == 0) EXPECT_CU(CUDA_SUCCESS, cuEventSynchronize(event));
      }
      EXPECT_CU(CUDA_SUCCESS, cuStreamSynchronize(stream));
      EXPECT_CU(CUDA_SUCCESS, cuEventDestroy_v2(event));
      EXPECT_CU(CUDA_SUCCESS, cuStreamDestroy_v2(stream));
    });
  }
  for (auto& thread : threads) thread.join();
  for (const uint32_t value : read<uint32_t>(memory, kThreads)) EXPECT_EQ(value, uint32_t{kRounds});
}

}  // namespace
}  // namespace vgpu::cpu::testing
