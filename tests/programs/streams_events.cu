// Many threads, each with streams and events of its own: order within a stream, order between streams through
// events, queries, elapsed time, priorities and the two default streams.
#include <cuda_runtime.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/check.h"

constexpr int kCount = 4096;

__global__ void fill(int* data, int value) { data[blockIdx.x * blockDim.x + threadIdx.x] = value; }

__global__ void scaleAndAdd(int* data, int factor, int addend) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  data[i] = data[i] * factor + addend;
}

__global__ void sumOf(const int* a, const int* b, int* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = a[i] + b[i];
}

static void expectAll(const int* device, int wanted, const char* what) {
  std::vector<int> host(kCount);
  CHECK_CUDA(cudaMemcpy(host.data(), device, kCount * sizeof(int), cudaMemcpyDeviceToHost));
  for (int i = 0; i < kCount; ++i)
    EXPECT(host[i] == wanted, "%s: element %d is %d instead of %d", what, i, host[i], wanted);
}

// Two producers on two streams, a consumer on a third that waits for both by events.
static void joinsStreams(int seed) {
  cudaStream_t streams[3];
  cudaEvent_t produced[2];
  int* buffers[3];
  for (cudaStream_t& stream : streams) CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  for (cudaEvent_t& event : produced) CHECK_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  for (int*& buffer : buffers) CHECK_CUDA(cudaMalloc(&buffer, kCount * sizeof(int)));
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 2; ++i) {
      fill<<<kCount / 128, 128, 0, streams[i]>>>(buffers[i], seed + i);
      for (int step = 0; step < 5; ++step)
        scaleAndAdd<<<kCount / 128, 128, 0, streams[i]>>>(buffers[i], 2, round);
      CHECK_CUDA(cudaEventRecord(produced[i], streams[i]));
      CHECK_CUDA(cudaStreamWaitEvent(streams[2], produced[i], 0));
    }
    sumOf<<<kCount / 128, 128, 0, streams[2]>>>(buffers[0], buffers[1], buffers[2]);
    CHECK_CUDA(cudaStreamSynchronize(streams[2]));
    CHECK_CUDA(cudaStreamQuery(streams[2]));
    CHECK_CUDA(cudaEventQuery(produced[0]));
    expectAll(buffers[2], 32 * (2 * seed + 1) + 2 * 31 * round, "joined streams");
  }
  for (cudaEvent_t event : produced) CHECK_CUDA(cudaEventDestroy(event));
  for (cudaStream_t stream : streams) CHECK_CUDA(cudaStreamDestroy(stream));
  for (int* buffer : buffers) CHECK_CUDA(cudaFree(buffer));
}

static void measuresTime() {
  cudaEvent_t begin, end;
  CHECK_CUDA(cudaEventCreate(&begin));
  CHECK_CUDA(cudaEventCreate(&end));
  int* data;
  CHECK_CUDA(cudaMalloc(&data, kCount * sizeof(int)));
  CHECK_CUDA(cudaEventRecord(begin));
  for (int i = 0; i < 10; ++i) fill<<<kCount / 128, 128>>>(data, i);
  CHECK_CUDA(cudaEventRecord(end));
  CHECK_CUDA(cudaEventSynchronize(end));
  float milliseconds = -1;
  CHECK_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
  EXPECT(milliseconds >= 0 && milliseconds < 60'000, "elapsed time is %g ms", milliseconds);
  expectAll(data, 9, "timed launches");
  CHECK_CUDA(cudaEventDestroy(begin));
  CHECK_CUDA(cudaEventDestroy(end));
  CHECK_CUDA(cudaFree(data));
}

// Work on the legacy default stream waits for blocking streams that were fed before it, and they for it.
static void ordersLegacyStream() {
  cudaStream_t blocking;
  CHECK_CUDA(cudaStreamCreate(&blocking));
  int* data;
  CHECK_CUDA(cudaMalloc(&data, kCount * sizeof(int)));
  for (int round = 0; round < 20; ++round) {
    fill<<<kCount / 128, 128, 0, blocking>>>(data, round);
    scaleAndAdd<<<kCount / 128, 128>>>(data, 3, 1);
    scaleAndAdd<<<kCount / 128, 128, 0, blocking>>>(data, 2, 5);
    expectAll(data, (3 * round + 1) * 2 + 5, "legacy default stream");
  }
  CHECK_CUDA(cudaStreamDestroy(blocking));
  CHECK_CUDA(cudaFree(data));
}

static void hasPriorities() {
  int least = 1, greatest = 1;
  CHECK_CUDA(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  EXPECT(greatest <= least, "priorities range from %d to %d", least, greatest);
  cudaStream_t stream;
  CHECK_CUDA(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest));
  int priority = 99;
  unsigned flags = 99;
  CHECK_CUDA(cudaStreamGetPriority(stream, &priority));
  CHECK_CUDA(cudaStreamGetFlags(stream, &flags));
  EXPECT(priority == greatest && flags == cudaStreamNonBlocking, "priority %d flags %u", priority, flags);
  CHECK_CUDA(cudaStreamDestroy(stream));
}

int main() {
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([i] {
      joinsStreams(10 * i + 1);
      int* data;
      CHECK_CUDA(cudaMalloc(&data, kCount * sizeof(int)));
      fill<<<kCount / 128, 128, 0, cudaStreamPerThread>>>(data, i);
      scaleAndAdd<<<kCount / 128, 128, 0, cudaStreamPerThread>>>(data, 7, i);
      CHECK_CUDA(cudaStreamSynchronize(cudaStreamPerThread));
      expectAll(data, 8 * i, "per-thread default stream");
      CHECK_CUDA(cudaFree(data));
    });
  for (std::thread& thread : threads) thread.join();
  measuresTime();
  ordersLegacyStream();
  hasPriorities();
  CHECK_CUDA(cudaDeviceSynchronize());
  return check::ok("streams_events: %d threads", kThreads);
}
