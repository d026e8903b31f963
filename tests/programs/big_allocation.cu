// One allocation of 545,947,648 bytes, as a language model makes it: filled by a kernel, read back whole.
#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "tests/support/check.h"

constexpr size_t kBytes = 545'947'648, kWords = kBytes / sizeof(uint32_t);

__global__ void fill(uint32_t* words, size_t count) {
  const size_t step = size_t(gridDim.x) * blockDim.x;
  for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    words[i] = uint32_t(i * 2654435761u);
}

int main() {
  uint32_t* device;
  size_t freeBefore = 0, freeAfter = 0, total = 0;
  CHECK_CUDA(cudaMemGetInfo(&freeBefore, &total));
  CHECK_CUDA(cudaMalloc(&device, kBytes));
  CHECK_CUDA(cudaMemGetInfo(&freeAfter, &total));
  EXPECT(freeBefore - freeAfter >= kBytes, "free memory went from %zu to %zu", freeBefore, freeAfter);
  fill<<<1024, 256>>>(device, kWords);
  std::vector<uint32_t> host(kWords);
  CHECK_CUDA(cudaMemcpy(host.data(), device, kBytes, cudaMemcpyDeviceToHost));
  for (size_t i = 0; i < kWords; ++i) {
    EXPECT(host[i] == uint32_t(i * 2654435761u), "word %zu is %#x", i, host[i]);
  }
  CHECK_CUDA(cudaMemset(device, 0x5a, kBytes));
  CHECK_CUDA(cudaMemcpy(host.data(), device, kBytes, cudaMemcpyDeviceToHost));
  for (size_t i = 0; i < kWords; ++i)
    EXPECT(host[i] == 0x5a5a5a5au, "word %zu is %#x after memset", i, host[i]);
  CHECK_CUDA(cudaFree(device));
  return check::ok("big_allocation: %zu bytes", kBytes);
}
