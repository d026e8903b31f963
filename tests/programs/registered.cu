// Memory of the program's own that it registers: copies from it, kernels on it, errors of registration.
#include <cuda_runtime.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "tests/support/check.h"

constexpr int kCount = 50'000;

__global__ void doubleAll(const int* in, int* out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = in[i] * 2;
}

int main() {
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  const size_t bytes = (kCount * sizeof(int) + page - 1) / page * page;
  int* in = static_cast<int*>(std::aligned_alloc(page, bytes));
  std::vector<int> out(kCount + 1024);  // not aligned to anything
  for (int i = 0; i < kCount; ++i) in[i] = i;
  CHECK_CUDA(cudaHostRegister(in, bytes, cudaHostRegisterMapped));
  CHECK_CUDA(cudaHostRegister(out.data(), out.size() * sizeof(int),
                              cudaHostRegisterPortable | cudaHostRegisterMapped));

  int *deviceIn, *deviceOut;
  CHECK_CUDA(cudaHostGetDevicePointer(&deviceIn, in, 0));
  CHECK_CUDA(cudaHostGetDevicePointer(&deviceOut, out.data(), 0));
  for (int round = 1; round <= 3; ++round) {
    for (int i = 0; i < kCount; ++i) in[i] = i * round;
    doubleAll<<<(kCount + 127) / 128, 128>>>(deviceIn, deviceOut, kCount);
    CHECK_CUDA(cudaDeviceSynchronize());
    for (int i = 0; i < kCount; ++i) {
      EXPECT(out[i] == 2 * i * round, "round %d: element %d is %d instead of %d", round, i, out[i],
             2 * i * round);
    }
  }

  int* device;
  CHECK_CUDA(cudaMalloc(&device, kCount * sizeof(int)));
  CHECK_CUDA(cudaMemcpyAsync(device, in, kCount * sizeof(int), cudaMemcpyHostToDevice, 0));
  doubleAll<<<(kCount + 127) / 128, 128>>>(device, device, kCount);
  CHECK_CUDA(cudaMemcpyAsync(out.data(), device, kCount * sizeof(int), cudaMemcpyDeviceToHost, 0));
  CHECK_CUDA(cudaStreamSynchronize(0));
  for (int i = 0; i < kCount; ++i)
    EXPECT(out[i] == 6 * i, "copied element %d is %d instead of %d", i, out[i], 6 * i);

  const cudaError_t twice = cudaHostRegister(in, bytes, 0);
  EXPECT(twice == cudaErrorHostMemoryAlreadyRegistered, "registered twice: %s", cudaGetErrorName(twice));
  CHECK_CUDA(cudaHostUnregister(in));
  CHECK_CUDA(cudaHostUnregister(out.data()));
  const cudaError_t unknown = cudaHostUnregister(in);
  EXPECT(unknown == cudaErrorHostMemoryNotRegistered, "unregistered twice: %s", cudaGetErrorName(unknown));
  cudaGetLastError();
  cudaPointerAttributes attributes;
  CHECK_CUDA(cudaPointerGetAttributes(&attributes, in));
  EXPECT(attributes.type == cudaMemoryTypeUnregistered, "type after unregistering is %d",
         int(attributes.type));
  std::free(in);
  return check::ok("registered: %d elements", kCount);
}
