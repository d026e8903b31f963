// Every thread makes progress: two lanes of one warp that wait for each other, a lock taken by every lane of
// a warp in turn, two resident blocks that wait for each other, and a cooperative grid of the largest size.
#include <cuda_runtime.h>

#include "tests/support/check.h"

__global__ void lanesMeet(volatile int* flags) {
  const int lane = threadIdx.x;
  if (lane == 3) {
    flags[0] = 1;
    while (flags[1] == 0) {
    }
    flags[2] = 1;
  } else if (lane == 20) {
    while (flags[0] == 0) {
    }
    flags[1] = 1;
    while (flags[2] == 0) {
    }
    flags[3] = 1;
  }
}

__global__ void lanesLock(int* lock, volatile int* counter) {
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0, 1) == 0) {
      *counter = *counter + 1;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
}

// The lock written the way that deadlocked before threads of a warp had their own program counters.
__global__ void lanesSpin(int* lock, volatile int* counter) {
  while (atomicCAS(lock, 0, 1) != 0) {
  }
  *counter = *counter + 1;
  __threadfence();
  atomicExch(lock, 0);
}

__global__ void blocksMeet(volatile int* flags, int rounds) {
  const int me = blockIdx.x, other = 1 - me;
  for (int round = 1; round <= rounds; ++round) {
    if (threadIdx.x == 0) {
      flags[me] = round;
      while (flags[other] < round) {
      }
    }
    __syncthreads();
  }
}

__global__ void gridMeets(int* arrived, int* after, int count) {
  if (threadIdx.x == 0) {
    atomicAdd(arrived, 1);
    while (atomicAdd(arrived, 0) < int(gridDim.x)) {
    }
    atomicAdd(after, *static_cast<volatile int*>(arrived) == count);
  }
}

// Warps of one block: the last waits for the first through shared memory.
__global__ void warpsMeet(int* out) {
  __shared__ volatile int turn;
  if (threadIdx.x == 0) turn = 0;
  __syncthreads();
  const int warp = threadIdx.x / 32;
  if (threadIdx.x % 32 == 0) {
    while (turn != warp) {
    }
    out[warp] = turn;
    __threadfence_block();
    turn = warp + 1;
  }
}

int main() {
  int* memory;
  int host[64] = {};
  CHECK_CUDA(cudaMalloc(&memory, sizeof(host)));
  const auto clear = [&] { CHECK_CUDA(cudaMemset(memory, 0, sizeof(host))); };
  const auto fetch = [&] { CHECK_CUDA(cudaMemcpy(host, memory, sizeof(host), cudaMemcpyDeviceToHost)); };

  clear();
  lanesMeet<<<1, 32>>>(memory);
  fetch();
  EXPECT(host[3] == 1, "two lanes: %d %d %d %d", host[0], host[1], host[2], host[3]);

  clear();
  lanesLock<<<4, 64>>>(memory, memory + 1);
  fetch();
  EXPECT(host[1] == 256, "the lock was taken %d times instead of 256", host[1]);

  clear();
  lanesSpin<<<2, 32>>>(memory, memory + 1);
  fetch();
  EXPECT(host[1] == 64, "the spinning lock was taken %d times instead of 64", host[1]);

  clear();
  blocksMeet<<<2, 64>>>(memory, 50);
  fetch();
  EXPECT(host[0] == 50 && host[1] == 50, "two blocks reached rounds %d and %d", host[0], host[1]);

  clear();
  warpsMeet<<<1, 512>>>(memory);
  fetch();
  for (int warp = 0; warp < 16; ++warp) EXPECT(host[warp] == warp, "warp %d saw %d", warp, host[warp]);

  int processors = 0, resident = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0));
  CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, gridMeets, 64, 0));
  int blocks = processors * resident;
  clear();
  int *arrived = memory, *after = memory + 1;
  void* arguments[] = {&arrived, &after, &blocks};
  CHECK_CUDA(cudaLaunchCooperativeKernel(gridMeets, dim3(blocks), dim3(64), arguments));
  fetch();
  EXPECT(host[0] == blocks && host[1] == blocks, "%d blocks arrived, %d saw all, of %d", host[0], host[1],
         blocks);
  return check::ok("progress: lanes, warps, blocks, grid");
}
