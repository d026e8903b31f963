// A barrier over the whole grid, up to the largest that is resident at once, and the refusal of a larger one.
#include <cooperative_groups.h>
#include <cuda_runtime.h>

#include <vector>

#include "tests/support/check.h"

namespace cg = cooperative_groups;

// Each step reads what the neighbour block wrote in the step before: right only when all blocks met in
// between.
__global__ void steps(int* values, int* other, int count) {
  cg::grid_group grid = cg::this_grid();
  for (int step = 0; step < count; ++step) {
    if (threadIdx.x == 0) other[blockIdx.x] = values[(blockIdx.x + 1) % gridDim.x] + 1;
    grid.sync();
    if (threadIdx.x == 0) values[blockIdx.x] = other[blockIdx.x];
    grid.sync();
  }
}

static void meetsAcrossTheGrid(int workSteps) {
  int device = 0, processors = 0, resident = 0, supported = 0;
  constexpr int kBlock = 128;
  CHECK_CUDA(cudaDeviceGetAttribute(&supported, cudaDevAttrCooperativeLaunch, device));
  EXPECT(supported == 1, "no cooperative launch");
  CHECK_CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, steps, kBlock, 0));
  EXPECT(resident > 0, "no block is resident");
  const int largest = processors * resident;
  for (const int blocks : {1, 3, largest}) {
    std::vector<int> start(blocks);
    for (int i = 0; i < blocks; ++i) start[i] = 1000 * i;
    int *values, *other;
    CHECK_CUDA(cudaMalloc(&values, blocks * sizeof(int)));
    CHECK_CUDA(cudaMalloc(&other, blocks * sizeof(int)));
    CHECK_CUDA(cudaMemcpy(values, start.data(), blocks * sizeof(int), cudaMemcpyHostToDevice));
    void* arguments[] = {&values, &other, &workSteps};
    CHECK_CUDA(cudaLaunchCooperativeKernel(steps, dim3(blocks), dim3(kBlock), arguments));
    std::vector<int> got(blocks);
    CHECK_CUDA(cudaMemcpy(got.data(), values, blocks * sizeof(int), cudaMemcpyDeviceToHost));
    for (int i = 0; i < blocks; ++i) {
      const int wanted = start[(i + workSteps) % blocks] + workSteps;
      EXPECT(got[i] == wanted, "%d blocks: block %d has %d instead of %d", blocks, i, got[i], wanted);
    }
    CHECK_CUDA(cudaFree(values));
    CHECK_CUDA(cudaFree(other));
  }
  int *values = nullptr, *other = nullptr;
  void* arguments[] = {&values, &other, &workSteps};
  const cudaError_t tooLarge = cudaLaunchCooperativeKernel(steps, dim3(largest + 1), dim3(kBlock), arguments);
  EXPECT(tooLarge == cudaErrorCooperativeLaunchTooLarge, "a grid of one block more: %s",
         cudaGetErrorName(tooLarge));
  cudaGetLastError();
}

int main() {
  meetsAcrossTheGrid(10);
  return check::ok("cooperative_grid: one block, three, the largest grid");
}
