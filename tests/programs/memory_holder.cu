// Holds device memory for as long as its standard input is open: what sessions of one vGPU take from each
// other.
//   memory_holder linear|array|pool MEBIBYTES     prints `total N free N`, then `running` or `out of memory`
#include <cuda_runtime.h>
#include <unistd.h>

#include <cstring>

#include "tests/support/check.h"

static cudaError_t take(const char* kind, size_t mebibytes) {
  void* memory = nullptr;
  if (std::strcmp(kind, "linear") == 0) return cudaMalloc(&memory, mebibytes << 20);
  if (std::strcmp(kind, "pool") == 0) {
    const cudaError_t status = cudaMallocAsync(&memory, mebibytes << 20, 0);
    return status == cudaSuccess ? cudaStreamSynchronize(0) : status;
  }
  cudaArray_t array;  // rows of 16 KiB
  const cudaChannelFormatDesc floats = cudaCreateChannelDesc<float>();
  return cudaMallocArray(&array, &floats, 4096, mebibytes * 64);
}

int main(int count, char** words) {
  EXPECT(count == 3, "usage: memory_holder linear|array|pool MEBIBYTES");
  size_t freeBytes = 0, totalBytes = 0;
  CHECK_CUDA(cudaMemGetInfo(&freeBytes, &totalBytes));
  cudaDeviceProp properties;
  CHECK_CUDA(cudaGetDeviceProperties(&properties, 0));
  EXPECT(properties.totalGlobalMem == totalBytes, "the device has %zu bytes, cudaMemGetInfo says %zu",
         properties.totalGlobalMem, totalBytes);
  std::printf("total %zu free %zu\n", totalBytes >> 20, freeBytes >> 20);
  const cudaError_t status = take(words[1], std::strtoul(words[2], nullptr, 10));
  EXPECT(status == cudaSuccess || status == cudaErrorMemoryAllocation, "it answers %d", int(status));
  std::puts(status == cudaSuccess ? "running" : "out of memory");
  std::fflush(stdout);
  for (char byte; ::read(STDIN_FILENO, &byte, 1) > 0;) {
  }
  return check::ok("memory_holder: %s", words[1]);
}
