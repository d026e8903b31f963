// Sums, maxima and counts by shuffles within a warp, shared memory within a block, atomics across blocks.
#include <cuda_runtime.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/support/check.h"

constexpr unsigned kAll = 0xffffffffu;

__device__ int warpSum(int value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(kAll, value, offset);
  return value;
}

__global__ void blockSum(const int* values, int count, long long* total) {
  __shared__ int partial[32];
  int sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
    sum += values[i];
  sum = warpSum(sum);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  if (lane == 0) partial[warp] = sum;
  __syncthreads();
  if (warp == 0) {
    sum = lane < blockDim.x / 32 ? partial[lane] : 0;
    sum = warpSum(sum);
    if (lane == 0)
      atomicAdd(reinterpret_cast<unsigned long long*>(total), (unsigned long long)(long long)sum);
  }
}

// The tree in shared memory, with a barrier a step, as in every textbook; dynamic shared memory.
__global__ void blockMaximum(const int* values, int count, int* maximum) {
  extern __shared__ int tree[];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  tree[threadIdx.x] = i < count ? values[i] : INT_MIN;
  __syncthreads();
  for (unsigned stride = blockDim.x / 2; stride > 0; stride /= 2) {
    if (threadIdx.x < stride) tree[threadIdx.x] = max(tree[threadIdx.x], tree[threadIdx.x + stride]);
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicMax(maximum, tree[0]);
}

// Votes and ballots: how many values are odd, and whether any warp holds none that is.
__global__ void votes(const int* values, int count, int* odd, int* warpsWithoutOdd) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const bool isOdd = i < count && (values[i] & 1);
  const unsigned ballot = __ballot_sync(kAll, isOdd);
  const bool none = !__any_sync(kAll, isOdd);
  if (threadIdx.x % 32 == 0) {
    atomicAdd(odd, __popc(ballot));
    if (none) atomicAdd(warpsWithoutOdd, 1);
  }
}

// Inclusive prefix sums by __shfl_up_sync, and an exchange of neighbours by __shfl_xor_sync.
__global__ void warpScan(const int* values, int* scanned, int* swapped) {
  int value = values[threadIdx.x];
  swapped[threadIdx.x] = __shfl_xor_sync(kAll, value, 1);
  for (int offset = 1; offset < 32; offset *= 2) {
    const int below = __shfl_up_sync(kAll, value, offset);
    if (threadIdx.x % 32 >= offset) value += below;
  }
  scanned[threadIdx.x] = value;
}

int main() {
  constexpr int kCount = 300'000, kBlock = 256;
  std::vector<int> values(kCount);
  for (int i = 0; i < kCount; ++i) values[i] = int((i * 2654435761u) % 20011) - 5000;
  for (int i = 640; i < 672; ++i) values[i] = 2 * i;
  int* device;
  CHECK_CUDA(cudaMalloc(&device, kCount * sizeof(int)));
  CHECK_CUDA(cudaMemcpy(device, values.data(), kCount * sizeof(int), cudaMemcpyHostToDevice));

  struct Results {
    long long sum;
    int maximum, odd, warpsWithoutOdd;
  } results{0, INT_MIN, 0, 0}, *deviceResults;
  CHECK_CUDA(cudaMalloc(&deviceResults, sizeof(Results)));
  CHECK_CUDA(cudaMemcpy(deviceResults, &results, sizeof(Results), cudaMemcpyHostToDevice));
  const int blocks = (kCount + kBlock - 1) / kBlock;
  blockSum<<<64, kBlock>>>(device, kCount, &deviceResults->sum);
  blockMaximum<<<blocks, kBlock, kBlock * sizeof(int)>>>(device, kCount, &deviceResults->maximum);
  votes<<<blocks, kBlock>>>(device, kCount, &deviceResults->odd, &deviceResults->warpsWithoutOdd);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaMemcpy(&results, deviceResults, sizeof(Results), cudaMemcpyDeviceToHost));

  const long long sum = std::accumulate(values.begin(), values.end(), 0LL);
  const int maximum = *std::max_element(values.begin(), values.end());
  int odd = 0, warpsWithoutOdd = 0;
  for (int begin = 0; begin < blocks * kBlock; begin += 32) {
    int here = 0;
    for (int i = begin; i < std::min(begin + 32, kCount); ++i) here += values[i] & 1;
    odd += here;
    warpsWithoutOdd += here == 0;
  }
  EXPECT(results.sum == sum, "sum is %lld instead of %lld", results.sum, sum);
  EXPECT(results.maximum == maximum, "maximum is %d instead of %d", results.maximum, maximum);
  EXPECT(results.odd == odd, "%d odd values instead of %d", results.odd, odd);
  EXPECT(results.warpsWithoutOdd == warpsWithoutOdd, "%d warps without an odd value instead of %d",
         results.warpsWithoutOdd, warpsWithoutOdd);

  int *scanned, *swapped, host[2][128];
  CHECK_CUDA(cudaMalloc(&scanned, sizeof(host[0])));
  CHECK_CUDA(cudaMalloc(&swapped, sizeof(host[1])));
  warpScan<<<1, 128>>>(device, scanned, swapped);
  CHECK_CUDA(cudaMemcpy(host[0], scanned, sizeof(host[0]), cudaMemcpyDeviceToHost));
  CHECK_CUDA(cudaMemcpy(host[1], swapped, sizeof(host[1]), cudaMemcpyDeviceToHost));
  for (int i = 0, running = 0; i < 128; ++i) {
    running = i % 32 == 0 ? values[i] : running + values[i];
    EXPECT(host[0][i] == running, "scan at %d is %d instead of %d", i, host[0][i], running);
    EXPECT(host[1][i] == values[i ^ 1], "neighbour of %d is %d instead of %d", i, host[1][i], values[i ^ 1]);
  }
  return check::ok("reduction: sum %lld, maximum %d, %d odd", sum, maximum, odd);
}
