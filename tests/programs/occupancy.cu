// What a program asks about the device and its kernels before it chooses a launch.
#include <cuda_runtime.h>

#include <cstring>

#include "tests/support/check.h"

__global__ void __launch_bounds__(256, 2) kernel(float* data, int count) {
  __shared__ float tile[256];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  tile[threadIdx.x] = i < count ? data[i] : 0;
  __syncthreads();
  if (i < count) data[i] = tile[blockDim.x - 1 - threadIdx.x];
}

__global__ void bigShared(int* out) {
  extern __shared__ int shared[];
  const int words = 96 * 1024 / sizeof(int);
  for (int i = threadIdx.x; i < words; i += blockDim.x) shared[i] = i;
  __syncthreads();
  int sum = 0;
  for (int i = threadIdx.x; i < words; i += blockDim.x) sum += shared[words - 1 - i] & 1;
  atomicAdd(out, sum);
}

int main() {
  cudaDeviceProp properties;
  CHECK_CUDA(cudaGetDeviceProperties(&properties, 0));
  EXPECT(std::strlen(properties.name) > 0, "the device has no name");
  EXPECT(properties.warpSize == 32, "warps of %d", properties.warpSize);
  EXPECT(properties.maxThreadsPerBlock == 1024, "%d threads a block", properties.maxThreadsPerBlock);
  EXPECT(properties.major >= 7, "compute capability %d.%d", properties.major, properties.minor);
  int value = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
  EXPECT(value == properties.multiProcessorCount, "%d and %d multiprocessors", value,
         properties.multiProcessorCount);
  CHECK_CUDA(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  EXPECT(value == int(properties.sharedMemPerBlockOptin) && value >= 64 * 1024,
         "opt-in shared memory %d and %zu", value, properties.sharedMemPerBlockOptin);
  size_t freeBytes = 0, totalBytes = 0;
  CHECK_CUDA(cudaMemGetInfo(&freeBytes, &totalBytes));
  EXPECT(freeBytes <= totalBytes && totalBytes == properties.totalGlobalMem,
         "%zu free of %zu, properties say %zu", freeBytes, totalBytes, properties.totalGlobalMem);

  cudaFuncAttributes attributes;
  CHECK_CUDA(cudaFuncGetAttributes(&attributes, kernel));
  EXPECT(attributes.sharedSizeBytes == 1024, "%zu bytes of static shared memory", attributes.sharedSizeBytes);
  EXPECT(attributes.maxThreadsPerBlock == 256, "launch bounds of %d", attributes.maxThreadsPerBlock);
  EXPECT(attributes.ptxVersion >= 70, "PTX for %d", attributes.ptxVersion);

  int blocks = 0, more = 0, grid = 0, block = 0;
  CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 256, 0));
  EXPECT(blocks >= 1 && blocks * 256 <= properties.maxThreadsPerMultiProcessor, "%d resident blocks", blocks);
  CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&more, kernel, 256,
                                                           properties.sharedMemPerMultiprocessor / 2));
  EXPECT(more <= 1, "%d resident blocks that take half of the shared memory and more", more);
  CHECK_CUDA(cudaOccupancyMaxPotentialBlockSize(&grid, &block, kernel));
  EXPECT(block > 0 && block <= 256 && grid > 0, "suggested %d blocks of %d", grid, block);

  const int bytes = 96 * 1024;
  CHECK_CUDA(cudaFuncSetAttribute(bigShared, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  int* out;
  CHECK_CUDA(cudaMalloc(&out, sizeof(int)));
  CHECK_CUDA(cudaMemset(out, 0, sizeof(int)));
  bigShared<<<3, 128, bytes>>>(out);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaMemcpy(&value, out, sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT(value == 3 * bytes / 8, "96 KiB of shared memory gave %d instead of %d", value, 3 * bytes / 8);
  return check::ok("occupancy: %d multiprocessors, %d resident blocks", properties.multiProcessorCount,
                   blocks);
}
