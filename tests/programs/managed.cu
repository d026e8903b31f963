// Managed memory: host and kernels take turns, the file system reads into it and writes from it.
#include <cuda_runtime.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "tests/support/check.h"

constexpr int kCount = 200'000;

struct Node {
  int value;
  Node* next;
};

__global__ void addIndex(int* data, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) data[i] += i;
}

__global__ void sumList(const Node* head, int* sum) {
  *sum = 0;
  for (const Node* node = head; node; node = node->next) *sum += node->value;
}

static void takesTurns() {
  int* data;
  CHECK_CUDA(cudaMallocManaged(&data, kCount * sizeof(int)));
  std::memset(data, 0, kCount * sizeof(int));
  for (int round = 1; round <= 4; ++round) {
    addIndex<<<(kCount + 255) / 256, 256>>>(data, kCount);
    CHECK_CUDA(cudaDeviceSynchronize());
    for (int i = 0; i < kCount; ++i) {
      EXPECT(data[i] == (i + 1) * round - 1, "round %d: element %d is %d", round, i, data[i]);
      data[i] += 1;
    }
  }
  CHECK_CUDA(cudaFree(data));
}

static void followsPointers() {
  Node* nodes;
  int* sum;
  CHECK_CUDA(cudaMallocManaged(&nodes, 100 * sizeof(Node)));
  CHECK_CUDA(cudaMallocManaged(&sum, sizeof(int)));
  int wanted = 0;
  for (int i = 0; i < 100; ++i) {
    nodes[i] = {i * i, i == 99 ? nullptr : &nodes[i + 1]};
    wanted += i * i;
  }
  sumList<<<1, 1>>>(nodes, sum);
  CHECK_CUDA(cudaDeviceSynchronize());
  EXPECT(*sum == wanted, "the list sums to %d instead of %d", *sum, wanted);
  CHECK_CUDA(cudaFree(nodes));
  CHECK_CUDA(cudaFree(sum));
}

// System calls read and write managed memory like any other memory, also just after a kernel used it.
static void readsFiles() {
  char name[] = "/tmp/managed.XXXXXX";
  const int file = mkstemp(name);
  EXPECT(file >= 0, "no temporary file");
  unlink(name);
  std::vector<int> numbers(kCount);
  for (int i = 0; i < kCount; ++i) numbers[i] = 3 * i + 1;
  const ssize_t bytes = kCount * sizeof(int);
  EXPECT(write(file, numbers.data(), bytes) == bytes, "short write");

  int* data;
  CHECK_CUDA(cudaMallocManaged(&data, bytes));
  addIndex<<<(kCount + 255) / 256, 256>>>(data, kCount);
  CHECK_CUDA(cudaDeviceSynchronize());
  const ssize_t got = pread(file, data, bytes, 0);
  EXPECT(got == bytes, "read() into managed memory gave %zd: %m", got);
  addIndex<<<(kCount + 255) / 256, 256>>>(data, kCount);
  CHECK_CUDA(cudaDeviceSynchronize());
  for (int i = 0; i < kCount; ++i)
    EXPECT(data[i] == 4 * i + 1, "element %d is %d instead of %d", i, data[i], 4 * i + 1);

  addIndex<<<(kCount + 255) / 256, 256>>>(data, kCount);
  CHECK_CUDA(cudaDeviceSynchronize());
  EXPECT(pwrite(file, data, bytes, 0) == bytes, "write() from managed memory: %m");
  EXPECT(pread(file, numbers.data(), bytes, 0) == bytes, "short read");
  for (int i = 0; i < kCount; ++i)
    EXPECT(numbers[i] == 5 * i + 1, "written %d is %d instead of %d", i, numbers[i], 5 * i + 1);
  CHECK_CUDA(cudaFree(data));
  close(file);
}

static void copiesAndAdvises() {
  int *data, *device;
  const size_t bytes = kCount * sizeof(int);
  CHECK_CUDA(cudaMallocManaged(&data, bytes));
  CHECK_CUDA(cudaMalloc(&device, bytes));
  for (int i = 0; i < kCount; ++i) data[i] = i;
#if CUDART_VERSION >= 13000
  const cudaMemLocation place{cudaMemLocationTypeDevice, 0};
  CHECK_CUDA(cudaMemAdvise(data, bytes, cudaMemAdviseSetPreferredLocation, place));
#else
  CHECK_CUDA(cudaMemAdvise(data, bytes, cudaMemAdviseSetPreferredLocation, 0));
#endif
  CHECK_CUDA(cudaMemcpy(device, data, bytes, cudaMemcpyDefault));
  addIndex<<<(kCount + 255) / 256, 256>>>(device, kCount);
  CHECK_CUDA(cudaMemcpy(data, device, bytes, cudaMemcpyDefault));
  for (int i = 0; i < kCount; ++i)
    EXPECT(data[i] == 2 * i, "copied element %d is %d instead of %d", i, data[i], 2 * i);
  CHECK_CUDA(cudaMemset(data, 0, bytes));
  CHECK_CUDA(cudaDeviceSynchronize());
  EXPECT(data[0] == 0 && data[kCount - 1] == 0, "memset left %d and %d", data[0], data[kCount - 1]);
  cudaPointerAttributes attributes;
  CHECK_CUDA(cudaPointerGetAttributes(&attributes, data));
  EXPECT(attributes.type == cudaMemoryTypeManaged, "memory type is %d", int(attributes.type));
  CHECK_CUDA(cudaFree(data));
  CHECK_CUDA(cudaFree(device));
}

int main() {
  takesTurns();
  followsPointers();
  readsFiles();
  copiesAndAdvises();
  return check::ok("managed: turns, lists, files, copies");
}
