// The runtime is called from destructors of static objects and from atexit, when it may be unloading: it
// answers success or cudaErrorCudartUnloading, and the program ends with its own exit code.
#include <cuda_runtime.h>

#include <cstdlib>

#include "tests/support/check.h"

static void expectUsable(const char* when, cudaError_t result) {
  EXPECT(result == cudaSuccess || result == cudaErrorCudartUnloading, "%s: %s", when,
         cudaGetErrorName(result));
}

struct Holder {
  int* memory = nullptr;
  cudaStream_t stream = nullptr;
  ~Holder() {
    expectUsable("free in a static destructor", cudaFree(memory));
    expectUsable("destroying a stream in a static destructor", cudaStreamDestroy(stream));
    cudaGetLastError();
  }
};

static Holder constructedFirst;

static void atTheEnd() { expectUsable("synchronise at exit", cudaDeviceSynchronize()); }

// Later than anything the runtime registered: destructors run in the reverse order of their constructors.
__attribute__((destructor)) static void lastOfAll() {
  void* memory = nullptr;
  expectUsable("allocation in a destructor function", cudaMalloc(&memory, 16));
}

__global__ void set(int* where) { *where = 5; }

int main() {
  std::atexit(atTheEnd);
  static Holder constructedLate;
  CHECK_CUDA(cudaMalloc(&constructedFirst.memory, 1024));
  CHECK_CUDA(cudaStreamCreate(&constructedFirst.stream));
  CHECK_CUDA(cudaMalloc(&constructedLate.memory, 1024));
  CHECK_CUDA(cudaStreamCreate(&constructedLate.stream));
  set<<<1, 1, 0, constructedLate.stream>>>(constructedLate.memory);
  int host = 0;
  CHECK_CUDA(cudaStreamSynchronize(constructedLate.stream));
  CHECK_CUDA(cudaMemcpy(&host, constructedLate.memory, sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT(host == 5, "%d instead of 5", host);
  return check::ok("after_static_destructors");
}
