// Page-locked host memory: copies, mapped access from kernels, attributes, and a buffer that the program
// changes after a copy from it was enqueued behind an event: the copy must see the change.
#include <cuda_runtime.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/support/check.h"

constexpr int kCount = 100'000;

__global__ void increment(int* data, int count, int by) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) data[i] += by;
}

// Keeps its stream busy for a while; no result depends on how long.
__global__ void dawdle(volatile int* scratch) {
  for (int i = 0; i < 20'000'000; ++i) *scratch = i;
}

static void copies() {
  int *host, *device;
  CHECK_CUDA(cudaMallocHost(&host, kCount * sizeof(int)));
  CHECK_CUDA(cudaMalloc(&device, kCount * sizeof(int)));
  cudaStream_t stream;
  CHECK_CUDA(cudaStreamCreate(&stream));
  for (int i = 0; i < kCount; ++i) host[i] = i;
  CHECK_CUDA(cudaMemcpyAsync(device, host, kCount * sizeof(int), cudaMemcpyHostToDevice, stream));
  increment<<<(kCount + 255) / 256, 256, 0, stream>>>(device, kCount, 5);
  CHECK_CUDA(cudaMemcpyAsync(host, device, kCount * sizeof(int), cudaMemcpyDeviceToHost, stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));
  for (int i = 0; i < kCount; ++i)
    EXPECT(host[i] == i + 5, "copied element %d is %d instead of %d", i, host[i], i + 5);
  CHECK_CUDA(cudaStreamDestroy(stream));
  CHECK_CUDA(cudaFree(device));
  CHECK_CUDA(cudaFreeHost(host));
}

static void mapsIntoKernels() {
  int *host, *seen = nullptr;
  CHECK_CUDA(cudaHostAlloc(&host, kCount * sizeof(int), cudaHostAllocMapped | cudaHostAllocPortable));
  CHECK_CUDA(cudaHostGetDevicePointer(&seen, host, 0));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kCount; ++i) host[i] = i * round;
    increment<<<(kCount + 255) / 256, 256>>>(seen, kCount, 7);
    CHECK_CUDA(cudaDeviceSynchronize());
    for (int i = 0; i < kCount; ++i) {
      EXPECT(host[i] == i * round + 7, "round %d: mapped element %d is %d instead of %d", round, i, host[i],
             i * round + 7);
    }
  }
  cudaPointerAttributes attributes;
  CHECK_CUDA(cudaPointerGetAttributes(&attributes, host + 10));
  EXPECT(attributes.type == cudaMemoryTypeHost, "memory type is %d", int(attributes.type));
  EXPECT(attributes.devicePointer == seen + 10, "device pointer %p instead of %p", attributes.devicePointer,
         (void*)(seen + 10));
  unsigned flags = 0;
  CHECK_CUDA(cudaHostGetFlags(&flags, host));
  EXPECT((flags & cudaHostAllocMapped) != 0, "flags are %u", flags);
  CHECK_CUDA(cudaFreeHost(host));
}

static void CUDART_CB waitForFlag(void* flag) {
  while (!static_cast<std::atomic<bool>*>(flag)->load()) std::this_thread::yield();
}

// The copy waits for an event that a host function holds back; what the program writes meanwhile must arrive.
static void seesLateChanges() {
  int *host, *device;
  CHECK_CUDA(cudaMallocHost(&host, kCount * sizeof(int)));
  CHECK_CUDA(cudaMalloc(&device, kCount * sizeof(int)));
  cudaStream_t held, copying;
  cudaEvent_t event;
  CHECK_CUDA(cudaStreamCreateWithFlags(&held, cudaStreamNonBlocking));
  CHECK_CUDA(cudaStreamCreateWithFlags(&copying, cudaStreamNonBlocking));
  CHECK_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  for (int i = 0; i < kCount; ++i) host[i] = -1;
  std::atomic<bool> released{false};
  CHECK_CUDA(cudaLaunchHostFunc(held, waitForFlag, &released));
  CHECK_CUDA(cudaEventRecord(event, held));
  CHECK_CUDA(cudaStreamWaitEvent(copying, event, 0));
  CHECK_CUDA(cudaMemcpyAsync(device, host, kCount * sizeof(int), cudaMemcpyHostToDevice, copying));
  EXPECT(cudaStreamQuery(copying) == cudaErrorNotReady, "the copy is over before its event");
  EXPECT(cudaEventQuery(event) == cudaErrorNotReady, "the event is over before its host function");
  cudaGetLastError();
  for (int i = 0; i < kCount; ++i) host[i] = i * 3;
  released = true;
  CHECK_CUDA(cudaStreamSynchronize(copying));
  std::vector<int> got(kCount);
  CHECK_CUDA(cudaMemcpy(got.data(), device, kCount * sizeof(int), cudaMemcpyDeviceToHost));
  for (int i = 0; i < kCount; ++i)
    EXPECT(got[i] == i * 3, "late change of element %d: %d instead of %d", i, got[i], i * 3);
  CHECK_CUDA(cudaStreamDestroy(held));
  CHECK_CUDA(cudaStreamDestroy(copying));
  CHECK_CUDA(cudaEventDestroy(event));
  CHECK_CUDA(cudaFree(device));
  CHECK_CUDA(cudaFreeHost(host));
}

// A wait for one stream while another still has to write: what that writes must arrive with its own wait.
static void seesWhatFinishesAfterAnotherWait() {
  int *copied, *mapped, *other, *device, *scratch;
  CHECK_CUDA(cudaMalloc(&scratch, sizeof(int)));
  CHECK_CUDA(cudaMallocHost(&copied, kCount * sizeof(int)));
  CHECK_CUDA(cudaMallocHost(&mapped, kCount * sizeof(int)));
  CHECK_CUDA(cudaMallocHost(&other, kCount * sizeof(int)));
  CHECK_CUDA(cudaMalloc(&device, kCount * sizeof(int)));
  cudaStream_t held, quick;
  CHECK_CUDA(cudaStreamCreateWithFlags(&held, cudaStreamNonBlocking));
  CHECK_CUDA(cudaStreamCreateWithFlags(&quick, cudaStreamNonBlocking));
  for (int i = 0; i < kCount; ++i) copied[i] = mapped[i] = other[i] = i;
  CHECK_CUDA(cudaMemcpy(device, copied, kCount * sizeof(int), cudaMemcpyHostToDevice));
  dawdle<<<1, 1, 0, held>>>(scratch);
  increment<<<(kCount + 255) / 256, 256, 0, held>>>(device, kCount, 3);
  increment<<<(kCount + 255) / 256, 256, 0, held>>>(mapped, kCount, 4);
  CHECK_CUDA(cudaMemcpyAsync(copied, device, kCount * sizeof(int), cudaMemcpyDeviceToHost, held));
  CHECK_CUDA(cudaMemsetAsync(other, 0, kCount * sizeof(int), quick));
  CHECK_CUDA(cudaStreamSynchronize(quick));
  EXPECT(other[7] == 0, "the quick stream's element is %d instead of 0", other[7]);
  CHECK_CUDA(cudaStreamSynchronize(held));
  for (int i = 0; i < kCount; ++i) {
    EXPECT(mapped[i] == i + 4, "after another wait: mapped element %d is %d", i, mapped[i]);
    EXPECT(copied[i] == i + 3, "after another wait: copied element %d is %d", i, copied[i]);
  }
  CHECK_CUDA(cudaStreamDestroy(held));
  CHECK_CUDA(cudaStreamDestroy(quick));
  for (int* memory : {copied, mapped, other}) CHECK_CUDA(cudaFreeHost(memory));
  for (int* memory : {device, scratch}) CHECK_CUDA(cudaFree(memory));
}

// Programs that poll instead of waiting: what a query calls done is there.
static void isThereWhenAQuerySaysSo() {
  int *host, *scratch;
  CHECK_CUDA(cudaMallocHost(&host, kCount * sizeof(int)));
  CHECK_CUDA(cudaMalloc(&scratch, sizeof(int)));
  cudaStream_t stream;
  cudaEvent_t event;
  CHECK_CUDA(cudaStreamCreate(&stream));
  CHECK_CUDA(cudaEventCreate(&event));
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < kCount; ++i) host[i] = i;
    dawdle<<<1, 1, 0, stream>>>(scratch);
    increment<<<(kCount + 255) / 256, 256, 0, stream>>>(host, kCount, 1 + round);
    CHECK_CUDA(cudaEventRecord(event, stream));
    cudaError_t status;
    do {
      status = round % 2 ? cudaEventQuery(event) : cudaStreamQuery(stream);
    } while (status == cudaErrorNotReady);
    CHECK_CUDA(status);
    for (int i = 0; i < kCount; ++i)
      EXPECT(host[i] == i + 1 + round, "round %d: polled element %d is %d", round, i, host[i]);
  }
  CHECK_CUDA(cudaStreamDestroy(stream));
  CHECK_CUDA(cudaEventDestroy(event));
  CHECK_CUDA(cudaFreeHost(host));
  CHECK_CUDA(cudaFree(scratch));
}

int main() {
  copies();
  mapsIntoKernels();
  seesLateChanges();
  seesWhatFinishesAfterAnotherWait();
  isThereWhenAQuerySaysSo();
  return check::ok("pinned: copies, mapped access, late changes, several waits");
}
