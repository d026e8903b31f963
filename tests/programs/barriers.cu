// cuda::barrier, cuda::pipeline and asynchronous copies as a program writes them: mbarrier and cp.async from
// compute_80 on, plain code below.
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda_runtime.h>

#include <cuda/barrier>
#include <cuda/pipeline>

#include "tests/support/check.h"

namespace groups = cooperative_groups;
using Barrier = cuda::barrier<cuda::thread_scope_block>;

constexpr int kThreads = 64, kStages = 4;

// Phases with arrive_and_wait, with a token, and without the half of the block that has dropped out.
__global__ void phases(int* out) {
  __shared__ Barrier barrier;
  __shared__ int values[kThreads];
  const int t = threadIdx.x;
  if (t == 0) init(&barrier, blockDim.x);
  __syncthreads();
  int sum = 0;
  for (int i = 0; i < kStages; ++i) {
    values[t] = t + i;
    barrier.arrive_and_wait();
    sum += values[kThreads - 1 - t];
    barrier.wait(barrier.arrive());
  }
  out[t] = sum;
  if (t >= kThreads / 2) {
    barrier.arrive_and_drop();
    return;
  }
  values[t] = -t;
  barrier.arrive_and_wait();
  out[t] += values[kThreads / 2 - 1 - t];
}

// Copies whose end the barrier tells.
__global__ void copies(const int* in, int* out) {
  __shared__ alignas(16) int tile[kThreads];
  __shared__ Barrier barrier;
  const int t = threadIdx.x;
  const auto block = groups::this_thread_block();
  if (t == 0) init(&barrier, blockDim.x);
  __syncthreads();
  cuda::memcpy_async(&tile[t], &in[t], sizeof(int), barrier);
  barrier.arrive_and_wait();
  out[t] = tile[kThreads - 1 - t];
  block.sync();
  cuda::memcpy_async(block, tile, in + kThreads, cuda::aligned_size_t<16>(sizeof(tile)), barrier);
  barrier.arrive_and_wait();
  out[t] += tile[kThreads - 1 - t];
  block.sync();
  groups::memcpy_async(block, tile, in + 2 * kThreads, sizeof(tile));
  groups::wait(block);
  out[t] += tile[kThreads - 1 - t];
}

// Two stages in flight, for the whole block.
__global__ void blockPipeline(const int* in, int* out) {
  __shared__ alignas(16) int tiles[2][kThreads];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  const auto block = groups::this_thread_block();
  auto pipeline = cuda::make_pipeline(block, &state);
  int sum = 0;
  for (int stage = 0, fetched = 0; stage < kStages; ++stage) {
    for (; fetched < kStages && fetched < stage + 2; ++fetched) {
      pipeline.producer_acquire();
      cuda::memcpy_async(block, tiles[fetched % 2], in + fetched * kThreads, sizeof(tiles[0]), pipeline);
      pipeline.producer_commit();
    }
    pipeline.consumer_wait();
    sum += tiles[stage % 2][kThreads - 1 - threadIdx.x];
    pipeline.consumer_release();
  }
  out[threadIdx.x] = sum;
}

// The same for each thread alone.
__global__ void threadPipeline(const int* in, int* out) {
  __shared__ alignas(16) int tiles[2][kThreads];
  const int t = threadIdx.x;
  auto pipeline = cuda::make_pipeline();
  for (int stage = 0; stage < 2; ++stage) {
    pipeline.producer_acquire();
    cuda::memcpy_async(&tiles[stage][t], in + stage * kThreads + t, cuda::aligned_size_t<4>(4), pipeline);
    pipeline.producer_commit();
  }
  int sum = 0;
  cuda::pipeline_consumer_wait_prior<1>(pipeline);
  __syncthreads();
  sum += tiles[0][kThreads - 1 - t];
  pipeline.consumer_release();
  cuda::pipeline_consumer_wait_prior<0>(pipeline);
  __syncthreads();
  out[t] = sum + tiles[1][kThreads - 1 - t];
}

int main() {
  static int host[kStages * kThreads];
  int *in, *out, got[4][kThreads];
  for (int i = 0; i < kStages * kThreads; ++i) host[i] = i * i;
  CHECK_CUDA(cudaMalloc(&in, sizeof(host)));
  CHECK_CUDA(cudaMalloc(&out, sizeof(got)));
  CHECK_CUDA(cudaMemcpy(in, host, sizeof(host), cudaMemcpyHostToDevice));
  phases<<<1, kThreads>>>(out);
  copies<<<1, kThreads>>>(in, out + kThreads);
  blockPipeline<<<1, kThreads>>>(in, out + 2 * kThreads);
  threadPipeline<<<1, kThreads>>>(in, out + 3 * kThreads);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaMemcpy(got, out, sizeof(got), cudaMemcpyDeviceToHost));
  for (int t = 0; t < kThreads; ++t) {
    const int mirror = kThreads - 1 - t;
    int wanted[4] = {kStages * mirror + 6, 0, 0, 0};
    if (t < kThreads / 2) wanted[0] -= kThreads / 2 - 1 - t;
    for (int stage = 0; stage < kStages; ++stage) {
      const int value = host[stage * kThreads + mirror];
      wanted[1] += stage < 3 ? value : 0;
      wanted[2] += value;
      wanted[3] += stage < 2 ? value : 0;
    }
    for (int k = 0; k < 4; ++k)
      EXPECT(got[k][t] == wanted[k], "kernel %d, thread %d: %d instead of %d", k, t, got[k][t], wanted[k]);
  }
  return check::ok("barriers: phases, copies, pipelines");
}
