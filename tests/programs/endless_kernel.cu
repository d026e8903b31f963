// A kernel that never ends, for tests that kill programs: prints `running` and waits for ever. With the
// argument `fork` a child, which inherits all that is open, lives until standard input is closed; with
// `clone` it is made by the bare system call, so that no handler of fork runs in it.
#include <cuda_runtime.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "tests/support/check.h"

__global__ void endless(volatile int* stop) {
  while (*stop == 0) {
  }
}

static long makeChild(const char* how) {
  return std::strcmp(how, "clone") == 0 ? syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
}

int main(int count, char** words) {
  int* stop;
  CHECK_CUDA(cudaMalloc(&stop, sizeof(int)));
  CHECK_CUDA(cudaMemset(stop, 0, sizeof(int)));
  CHECK_CUDA(cudaDeviceSynchronize());
  if (count > 1 && makeChild(words[1]) == 0) {
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
    _exit(0);
  }
  endless<<<1, 1>>>(stop);
  std::puts("running");
  std::fflush(stdout);
  const cudaError_t result = cudaDeviceSynchronize();
  std::printf("the kernel ended: %s\n", cudaGetErrorName(result));
  return 3;
}
