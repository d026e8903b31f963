// Kernels of different streams that wait for each other while they run, and a kernel that waits for a copy,
// for a host function and for the program: whatever was submitted to another stream goes on, however few
// processors there are. (Nothing here waits for what is submitted to its own stream later: that hangs
// natively too.)
#include <cuda_runtime.h>

#include <atomic>

#include "tests/support/check.h"

namespace {

__global__ void await(volatile int* flag, int wanted, int* after) {
  while (*flag < wanted) {
  }
  *after = *flag;
}

__global__ void set(volatile int* flag, int value) { *flag = value; }

// Each side waits for the other's last move.
__global__ void pingPong(volatile int* mine, volatile int* other, int rounds, int lead) {
  for (int round = 1; round <= rounds; ++round) {
    if (lead) *mine = round;
    while (*other < round) {
    }
    if (!lead) *mine = round;
  }
}

// Many blocks, each of which waits; and one that computes without waiting for anything.
__global__ void allAwait(volatile int* flag, int* count) {
  while (*flag == 0) {
  }
  if (threadIdx.x == 0) atomicAdd(count, 1);
}

__global__ void computeThenSet(float* data, int size, volatile int* flag) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) data[i] = data[i] * 2.0f + 1.0f;
  if (i == size - 1) *flag = 1;
}

struct Streams {
  cudaStream_t first, second;
  Streams() {
    CHECK_CUDA(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    CHECK_CUDA(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
  }
};

class Memory {
 public:
  Memory() { CHECK_CUDA(cudaMalloc(&device_, kInts * sizeof(int))); }
  int* operator+(int index) const { return device_ + index; }
  void clear() const {
    CHECK_CUDA(cudaMemset(device_, 0, kInts * sizeof(int)));
    CHECK_CUDA(cudaDeviceSynchronize());
  }
  int at(int index) const {
    int value = -1;
    CHECK_CUDA(cudaMemcpy(&value, device_ + index, sizeof(int), cudaMemcpyDeviceToHost));
    return value;
  }

 private:
  static constexpr int kInts = 64;
  int* device_ = nullptr;
};

void theLaterSetsTheFlag(const Streams& streams, const Memory& memory) {
  memory.clear();
  await<<<1, 1, 0, streams.first>>>(memory + 0, 7, memory + 1);
  set<<<1, 1, 0, streams.second>>>(memory + 0, 7);
  CHECK_CUDA(cudaStreamSynchronize(streams.first));
  EXPECT(memory.at(1) == 7, "first stream saw %d", memory.at(1));
  // The other way round, and the program waits for the stream that sets.
  memory.clear();
  await<<<1, 1, 0, streams.second>>>(memory + 0, 8, memory + 1);
  set<<<1, 1, 0, streams.first>>>(memory + 0, 8);
  CHECK_CUDA(cudaStreamSynchronize(streams.first));
  CHECK_CUDA(cudaStreamSynchronize(streams.second));
  EXPECT(memory.at(1) == 8, "second stream saw %d", memory.at(1));
}

void bothWaitInTurns(const Streams& streams, const Memory& memory) {
  for (int lead = 0; lead < 2; ++lead) {
    memory.clear();
    pingPong<<<1, 1, 0, streams.first>>>(memory + 0, memory + 1, 200, lead);
    pingPong<<<1, 1, 0, streams.second>>>(memory + 1, memory + 0, 200, 1 - lead);
    CHECK_CUDA(cudaDeviceSynchronize());
    EXPECT(memory.at(0) == 200 && memory.at(1) == 200, "rounds %d and %d", memory.at(0), memory.at(1));
  }
}

void manyStreamsInAChain(const Memory& memory) {
  constexpr int kStreams = 12;
  memory.clear();
  cudaStream_t streams[kStreams];
  for (int i = 0; i < kStreams; ++i) {
    CHECK_CUDA(cudaStreamCreateWithFlags(&streams[i], cudaStreamNonBlocking));
    await<<<1, 32, 0, streams[i]>>>(memory + (i + 1), 1, memory + i);
  }
  set<<<1, 1, 0, Streams().first>>>(memory + kStreams, 1);
  CHECK_CUDA(cudaDeviceSynchronize());
  EXPECT(memory.at(0) == 1, "the end of the chain is %d", memory.at(0));
  for (cudaStream_t stream : streams) CHECK_CUDA(cudaStreamDestroy(stream));
}

void manyBlocksWaitForACompute(const Streams& streams, const Memory& memory) {
  constexpr int kSize = 1 << 18;
  memory.clear();
  float* data = nullptr;
  CHECK_CUDA(cudaMalloc(&data, kSize * sizeof(float)));
  CHECK_CUDA(cudaMemset(data, 0, kSize * sizeof(float)));
  CHECK_CUDA(cudaDeviceSynchronize());
  allAwait<<<300, 64, 0, streams.first>>>(memory + 0, memory + 1);
  computeThenSet<<<kSize / 256, 256, 0, streams.second>>>(data, kSize, memory + 0);
  CHECK_CUDA(cudaDeviceSynchronize());
  EXPECT(memory.at(1) == 300, "%d blocks of 300 went on", memory.at(1));
  CHECK_CUDA(cudaFree(data));
}

void aCopySetsTheFlag(const Streams& streams, const Memory& memory) {
  memory.clear();
  int* pinned = nullptr;
  CHECK_CUDA(cudaMallocHost(&pinned, sizeof(int)));
  *pinned = 3;
  await<<<1, 1, 0, streams.first>>>(memory + 0, 3, memory + 1);
  CHECK_CUDA(cudaMemcpyAsync(memory + 0, pinned, sizeof(int), cudaMemcpyHostToDevice, streams.second));
  CHECK_CUDA(cudaStreamSynchronize(streams.first));
  EXPECT(memory.at(1) == 3, "saw %d of a copy", memory.at(1));
  // A fill, and a copy from pageable memory, which waits by itself.
  memory.clear();
  await<<<1, 1, 0, streams.first>>>(memory + 0, 0x01010101, memory + 1);
  CHECK_CUDA(cudaMemsetAsync(memory + 0, 1, sizeof(int), streams.second));
  CHECK_CUDA(cudaStreamSynchronize(streams.first));
  const int value = 0x01010102;
  await<<<1, 1, 0, streams.first>>>(memory + 0, value, memory + 1);
  CHECK_CUDA(cudaMemcpyAsync(memory + 0, &value, sizeof(int), cudaMemcpyHostToDevice, streams.second));
  CHECK_CUDA(cudaStreamSynchronize(streams.first));
  EXPECT(memory.at(1) == value, "saw %x of a pageable copy", memory.at(1));
  CHECK_CUDA(cudaFreeHost(pinned));
}

void aHostFunctionLetsTheOtherGo(const Streams& streams, const Memory& memory) {
  memory.clear();
  static std::atomic<int> called{0};
  await<<<1, 1, 0, streams.first>>>(memory + 0, 5, memory + 1);
  CHECK_CUDA(cudaLaunchHostFunc(streams.second, [](void*) { called = 1; }, nullptr));
  set<<<1, 1, 0, streams.second>>>(memory + 0, 5);
  CHECK_CUDA(cudaStreamSynchronize(streams.first));
  EXPECT(called == 1 && memory.at(1) == 5, "the host function: %d, the kernel: %d", called.load(),
         memory.at(1));
}

}  // namespace

int main() {
  const Streams streams;
  const Memory memory;
  theLaterSetsTheFlag(streams, memory);
  bothWaitInTurns(streams, memory);
  manyStreamsInAChain(memory);
  manyBlocksWaitForACompute(streams, memory);
  aCopySetsTheFlag(streams, memory);
  aHostFunctionLetsTheOtherGo(streams, memory);
  return check::ok("streams_meet: kernels, copies and host functions of two streams went on together");
}
