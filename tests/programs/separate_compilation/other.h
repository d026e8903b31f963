// What the two objects of separate_compilation share.
#pragma once

using Operation = int (*)(int, int);

extern __device__ int counter;
extern __device__ Operation operations[2];
__device__ float scale(float x);
__device__ int otherOwn(int x);
__device__ int sumDynamic(int count);
__device__ const char* otherText();
__global__ void otherKernel(int* out, int factor);

// In both objects, with the variable in it: the linker keeps one of each.
template <class T>
__device__ __noinline__ T countedSum(T a, T b) {
  static __device__ int calls = 0;
  return a + b + 1000 * ++calls;
}

void setFactor(float factor);
int counterFromOther();
void launchOther(int* out);
