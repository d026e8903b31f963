// Constant memory and device symbols: initialised and copied, by value, by offset, by address, of several
// sizes.
#include <cuda_runtime.h>

#include "tests/support/check.h"

struct Plane {
  float normal[3];
  double distance;
  char tag;
};

__constant__ float coefficients[64];
__constant__ int initialised[4] = {3, 1, 4, 1};
__constant__ Plane plane = {{1, 2, 3}, 0.25, 'p'};
__device__ int counter = 41;
__device__ int table[2][3] = {{1, 2, 3}, {4, 5, 6}};
__device__ int* pointerToTable = &table[1][0];
__device__ const char greeting[] = "hello from a symbol";

__global__ void read(float* floats, int* integers, double* distance) {
  const int i = threadIdx.x;
  if (i < 64) floats[i] = coefficients[i] * plane.normal[i % 3];
  if (i < 4) integers[i] = initialised[i];
  if (i < 3) integers[4 + i] = pointerToTable[i];
  if (i == 0) {
    *distance = plane.distance;
    integers[7] = atomicAdd(&counter, 1);
    integers[8] = greeting[6];
    integers[9] = plane.tag;
  }
}

int main() {
  float values[64];
  for (int i = 0; i < 64; ++i) values[i] = 0.5f * float(i);
  CHECK_CUDA(cudaMemcpyToSymbol(coefficients, values, sizeof(values)));
  const int last = 9;
  CHECK_CUDA(cudaMemcpyToSymbol(initialised, &last, sizeof(int), 3 * sizeof(int)));
  const Plane moved{{2, 4, 8}, 0.75, 'q'};
  CHECK_CUDA(cudaMemcpyToSymbolAsync(plane, &moved, sizeof(moved), 0, cudaMemcpyHostToDevice, 0));
  void* address = nullptr;
  size_t bytes = 0;
  CHECK_CUDA(cudaGetSymbolAddress(&address, table));
  CHECK_CUDA(cudaGetSymbolSize(&bytes, table));
  EXPECT(bytes == 24, "table has %zu bytes instead of 24", bytes);
  CHECK_CUDA(cudaGetSymbolSize(&bytes, coefficients));
  EXPECT(bytes == 256, "coefficients has %zu bytes instead of 256", bytes);
  const int five[] = {50};
  CHECK_CUDA(cudaMemcpy(static_cast<int*>(address) + 4, five, sizeof(five), cudaMemcpyHostToDevice));

  float* floats;
  int* integers;
  double* distance;
  CHECK_CUDA(cudaMalloc(&floats, 64 * sizeof(float)));
  CHECK_CUDA(cudaMalloc(&integers, 10 * sizeof(int)));
  CHECK_CUDA(cudaMalloc(&distance, sizeof(double)));
  read<<<1, 64>>>(floats, integers, distance);
  CHECK_CUDA(cudaGetLastError());
  float gotFloats[64];
  int got[10];
  double gotDistance = 0;
  CHECK_CUDA(cudaMemcpy(gotFloats, floats, sizeof(gotFloats), cudaMemcpyDeviceToHost));
  CHECK_CUDA(cudaMemcpy(got, integers, sizeof(got), cudaMemcpyDeviceToHost));
  CHECK_CUDA(cudaMemcpy(&gotDistance, distance, sizeof(double), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 64; ++i) {
    const float wanted = values[i] * moved.normal[i % 3];
    EXPECT(gotFloats[i] == wanted, "coefficient %d gave %g instead of %g", i, gotFloats[i], wanted);
  }
  const int wanted[10] = {3, 1, 4, 9, 4, 50, 6, 41, 'f', 'q'};
  for (int i = 0; i < 10; ++i)
    EXPECT(got[i] == wanted[i], "value %d is %d instead of %d", i, got[i], wanted[i]);
  EXPECT(gotDistance == 0.75, "distance is %g instead of 0.75", gotDistance);
  int counted = 0;
  CHECK_CUDA(cudaMemcpyFromSymbol(&counted, counter, sizeof(int)));
  EXPECT(counted == 42, "counter is %d instead of 42", counted);
  return check::ok("constant_symbols: counter %d", counted);
}
