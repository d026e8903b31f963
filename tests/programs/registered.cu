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

// Keeps its stream busy for a while; no result depends on how long.
__global__ void dawdle(volatile int* scratch) {
  for (int i = 0; i < 20'000'000; ++i) *scratch = i;
}

// A wait for one stream while another still has to write: what that writes must arrive with its own wait, be
// it for the stream, an event or all.
static void seesWhatFinishesAfterAnotherWait(int* deviceOut, const std::vector<int>& out) {
  cudaStream_t held, quick;
  cudaEvent_t event;
  CHECK_CUDA(cudaStreamCreateWithFlags(&held, cudaStreamNonBlocking));
  CHECK_CUDA(cudaStreamCreateWithFlags(&quick, cudaStreamNonBlocking));
  CHECK_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  int *fromDevice, *scratch;
  CHECK_CUDA(cudaMalloc(&scratch, sizeof(int)));
  CHECK_CUDA(cudaMalloc(&fromDevice, kCount * sizeof(int)));
  for (int round = 0; round < 3; ++round) {
    std::vector<int> values(kCount);
    for (int i = 0; i < kCount; ++i) values[i] = i + round + 10;
    CHECK_CUDA(cudaMemcpy(fromDevice, values.data(), kCount * sizeof(int), cudaMemcpyHostToDevice));
    dawdle<<<1, 1, 0, held>>>(scratch);
    doubleAll<<<(kCount + 127) / 128, 128, 0, held>>>(fromDevice, deviceOut, kCount);
    CHECK_CUDA(cudaEventRecord(event, held));
    CHECK_CUDA(cudaMemsetAsync(deviceOut + kCount, round, 128, quick));
    CHECK_CUDA(cudaStreamSynchronize(quick));
    EXPECT(reinterpret_cast<const unsigned char&>(out[kCount]) == round, "round %d: no fill", round);
    CHECK_CUDA(round == 0   ? cudaStreamSynchronize(held)
               : round == 1 ? cudaEventSynchronize(event)
                            : cudaDeviceSynchronize());
    for (int i = 0; i < kCount; ++i)
      EXPECT(out[i] == 2 * values[i], "round %d after another wait: element %d is %d", round, i, out[i]);
  }
  for (int* memory : {fromDevice, scratch}) CHECK_CUDA(cudaFree(memory));
  CHECK_CUDA(cudaEventDestroy(event));
  CHECK_CUDA(cudaStreamDestroy(held));
  CHECK_CUDA(cudaStreamDestroy(quick));
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

  seesWhatFinishesAfterAnotherWait(deviceOut, out);
  for (int i = 0; i < kCount; ++i) in[i] = 3 * i;

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
