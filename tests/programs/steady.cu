// Works for as long as its standard input is open, then checks what it did: the neighbour of programs that
// crash.
#include <cuda_runtime.h>
#include <poll.h>
#include <unistd.h>

#include "tests/support/check.h"

__global__ void add(int* counters) { counters[threadIdx.x] += 1; }

int main() {
  int* counters;
  CHECK_CUDA(cudaMalloc(&counters, 256 * sizeof(int)));
  CHECK_CUDA(cudaMemset(counters, 0, 256 * sizeof(int)));
  CHECK_CUDA(cudaDeviceSynchronize());
  std::puts("running");
  std::fflush(stdout);
  int rounds = 0;
  for (pollfd input{0, POLLIN, 0}; poll(&input, 1, 10) == 0; ++rounds) {
    add<<<1, 256>>>(counters);
    CHECK_CUDA(cudaDeviceSynchronize());
  }
  int host[256];
  CHECK_CUDA(cudaMemcpy(host, counters, sizeof(host), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 256; ++i)
    EXPECT(host[i] == rounds, "counter %d is %d instead of %d", i, host[i], rounds);
  return check::ok("steady: %d rounds", rounds);
}
