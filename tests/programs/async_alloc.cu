// Stream-ordered allocation: the default pool, pools of one's own, reuse, trimming, memory freed before it
// was used up.
#include <cuda_runtime.h>

#include <vector>

#include "tests/support/check.h"

constexpr int kCount = 65536;

__global__ void fill(int* data, int value) { data[blockIdx.x * blockDim.x + threadIdx.x] = value; }

__global__ void addTo(int* sum, const int* data) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  sum[i] += data[i];
}

int main() {
  int supported = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, 0));
  EXPECT(supported == 1, "no memory pools");
  cudaStream_t streams[2];
  for (cudaStream_t& stream : streams) CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  int* sum;
  CHECK_CUDA(cudaMallocAsync(&sum, kCount * sizeof(int), streams[0]));
  CHECK_CUDA(cudaMemsetAsync(sum, 0, kCount * sizeof(int), streams[0]));
  int wanted = 0;
  for (int round = 0; round < 50; ++round) {
    int* data;
    CHECK_CUDA(cudaMallocAsync(&data, kCount * sizeof(int), streams[0]));
    fill<<<kCount / 256, 256, 0, streams[0]>>>(data, round);
    addTo<<<kCount / 256, 256, 0, streams[0]>>>(sum, data);
    CHECK_CUDA(cudaFreeAsync(data, streams[0]));
    wanted += round;
  }
  std::vector<int> host(kCount);
  CHECK_CUDA(cudaMemcpyAsync(host.data(), sum, kCount * sizeof(int), cudaMemcpyDeviceToHost, streams[0]));
  CHECK_CUDA(cudaStreamSynchronize(streams[0]));
  for (int i = 0; i < kCount; ++i)
    EXPECT(host[i] == wanted, "element %d is %d instead of %d", i, host[i], wanted);

  // Allocated on one stream, used and freed on another, ordered by an event.
  cudaEvent_t ready;
  CHECK_CUDA(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming));
  int* shared;
  CHECK_CUDA(cudaMallocAsync(&shared, kCount * sizeof(int), streams[0]));
  fill<<<kCount / 256, 256, 0, streams[0]>>>(shared, 5);
  CHECK_CUDA(cudaEventRecord(ready, streams[0]));
  CHECK_CUDA(cudaStreamWaitEvent(streams[1], ready, 0));
  addTo<<<kCount / 256, 256, 0, streams[1]>>>(sum, shared);
  CHECK_CUDA(cudaFreeAsync(shared, streams[1]));
  CHECK_CUDA(cudaMemcpyAsync(host.data(), sum, kCount * sizeof(int), cudaMemcpyDeviceToHost, streams[1]));
  CHECK_CUDA(cudaStreamSynchronize(streams[1]));
  EXPECT(host[0] == wanted + 5 && host[kCount - 1] == wanted + 5, "across streams: %d and %d", host[0],
         host[kCount - 1]);
  CHECK_CUDA(cudaFree(sum));  // synchronous free of an asynchronous allocation

  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location = {cudaMemLocationTypeDevice, 0};
  cudaMemPool_t pool, standard;
  CHECK_CUDA(cudaMemPoolCreate(&pool, &properties));
  CHECK_CUDA(cudaDeviceGetDefaultMemPool(&standard, 0));
  EXPECT(pool != standard, "a new pool is the default pool");
  unsigned long long threshold = 1 << 20, used = 1;
  CHECK_CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
  threshold = 0;
  CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
  EXPECT(threshold == 1 << 20, "release threshold is %llu", threshold);
  int* pooled;
  CHECK_CUDA(cudaMallocFromPoolAsync(&pooled, kCount * sizeof(int), pool, streams[0]));
  CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
  EXPECT(used >= kCount * sizeof(int), "%llu bytes used in the pool", used);
  fill<<<kCount / 256, 256, 0, streams[0]>>>(pooled, 9);
  CHECK_CUDA(cudaMemcpyAsync(host.data(), pooled, kCount * sizeof(int), cudaMemcpyDeviceToHost, streams[0]));
  CHECK_CUDA(cudaFreeAsync(pooled, streams[0]));
  CHECK_CUDA(cudaStreamSynchronize(streams[0]));
  EXPECT(host[0] == 9 && host[kCount - 1] == 9, "pooled memory holds %d and %d", host[0], host[kCount - 1]);
  CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
  EXPECT(used == 0, "%llu bytes used in the pool after the free", used);
  CHECK_CUDA(cudaMemPoolTrimTo(pool, 0));
  CHECK_CUDA(cudaMemPoolDestroy(pool));
  return check::ok("async_alloc: default pool and another");
}
