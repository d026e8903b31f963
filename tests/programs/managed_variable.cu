// A variable that host and kernels both name.
#include <cuda_runtime.h>

#include "tests/support/check.h"

__managed__ int managedValue = 7;
__managed__ double managedTable[1000];

__global__ void update() {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < 1000) managedTable[i] = managedTable[i] * 2 + managedValue;
  if (i == 0) atomicAdd(&managedValue, 1);
}

int main() {
  EXPECT(managedValue == 7, "starts at %d instead of 7", managedValue);
  for (int i = 0; i < 1000; ++i) managedTable[i] = i;
  managedValue = 70;
  update<<<1000, 1>>>();
  CHECK_CUDA(cudaDeviceSynchronize());
  EXPECT(managedValue == 71, "is %d instead of 71", managedValue);
  // Block 0 may raise the value before or after any other block reads it.
  for (int i = 0; i < 1000; ++i) {
    EXPECT(managedTable[i] == 2 * i + 70 || managedTable[i] == 2 * i + 71, "element %d is %g", i,
           managedTable[i]);
  }
  managedValue = 1;
  int seen = 0;
  CHECK_CUDA(cudaMemcpyFromSymbol(&seen, managedValue, sizeof(seen)));
  EXPECT(seen == 1, "a copy from the symbol gives %d instead of 1", seen);
  return check::ok("managed_variable: %d", managedValue);
}
