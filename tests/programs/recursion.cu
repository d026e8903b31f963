// Device functions that call themselves and each other, each thread to a depth of its own.
#include <cuda_runtime.h>

#include "tests/support/check.h"

__device__ __noinline__ int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

__device__ int isOdd(int n);
__device__ __noinline__ int isEven(int n) { return n == 0 ? 1 : isOdd(n - 1); }
__device__ __noinline__ int isOdd(int n) { return n == 0 ? 0 : isEven(n - 1); }

__device__ __noinline__ int ackermann(int m, int n) {
  if (m == 0) return n + 1;
  return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

__global__ void recurse(int* out) {
  const int i = int(threadIdx.x);
  out[3 * i] = fibonacci(i % 15);
  out[3 * i + 1] = isEven(i);
  out[3 * i + 2] = ackermann(2, i % 5);
}

int main() {
  constexpr int kThreads = 64;
  int *out, host[3 * kThreads];
  CHECK_CUDA(cudaMalloc(&out, sizeof(host)));
  recurse<<<1, kThreads>>>(out);
  CHECK_CUDA(cudaMemcpy(host, out, sizeof(host), cudaMemcpyDeviceToHost));
  const int fibonaccis[15] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377};
  for (int i = 0; i < kThreads; ++i) {
    EXPECT(host[3 * i] == fibonaccis[i % 15], "fibonacci %d is %d", i % 15, host[3 * i]);
    EXPECT(host[3 * i + 1] == (i % 2 == 0), "%d is taken for %s", i, host[3 * i + 1] ? "even" : "odd");
    EXPECT(host[3 * i + 2] == 2 * (i % 5) + 3, "ackermann(2, %d) is %d", i % 5, host[3 * i + 2]);
  }
  return check::ok("recursion: %d threads", kThreads);
}
