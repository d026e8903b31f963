// Functions of the host in streams: they run in order, on a thread of their own, and the stream waits for
// them.
#include <cuda_runtime.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/check.h"

struct Journal {
  std::thread::id caller;
  std::vector<int> entries;
  int* pinned;
  cudaError_t refused = cudaSuccess;
  std::atomic<bool> onCaller{false};
};

struct Entry {
  Journal* journal;
  int number;
};

__global__ void set(int* where, int value) { *where = value; }

static void CUDART_CB note(void* data) {
  const Entry& entry = *static_cast<Entry*>(data);
  entry.journal->entries.push_back(100 * entry.number + *entry.journal->pinned);
  if (std::this_thread::get_id() == entry.journal->caller) entry.journal->onCaller = true;
}

static void CUDART_CB callCuda(void* data) {
  void* memory = nullptr;
  static_cast<Journal*>(data)->refused = cudaMalloc(&memory, 16);
}

static void CUDART_CB statusArrives(cudaStream_t, cudaError_t status, void* data) {
  static_cast<Journal*>(data)->entries.push_back(status == cudaSuccess ? 7777 : -1);
}

int main() {
  Journal journal;
  journal.caller = std::this_thread::get_id();
  CHECK_CUDA(cudaMallocHost(&journal.pinned, sizeof(int)));
  *journal.pinned = 0;
  int* device;
  CHECK_CUDA(cudaMalloc(&device, sizeof(int)));
  cudaStream_t stream;
  CHECK_CUDA(cudaStreamCreate(&stream));
  // Each function sees the copy that was enqueued before it, and not the one after.
  std::vector<Entry> entries;
  for (int i = 1; i <= 20; ++i) entries.push_back({&journal, i});
  for (Entry& entry : entries) {
    set<<<1, 1, 0, stream>>>(device, entry.number);
    CHECK_CUDA(cudaMemcpyAsync(journal.pinned, device, sizeof(int), cudaMemcpyDeviceToHost, stream));
    CHECK_CUDA(cudaLaunchHostFunc(stream, note, &entry));
  }
  CHECK_CUDA(cudaStreamAddCallback(stream, statusArrives, &journal, 0));
  CHECK_CUDA(cudaStreamSynchronize(stream));
  EXPECT(journal.entries.size() == 21, "%zu host functions ran instead of 21", journal.entries.size());
  for (int i = 0; i < 20; ++i) {
    EXPECT(journal.entries[i] == 101 * (i + 1), "host function %d noted %d instead of %d", i,
           journal.entries[i], 101 * (i + 1));
  }
  EXPECT(journal.entries[20] == 7777, "the callback got an error");
  EXPECT(!journal.onCaller, "a host function ran on the program's own thread");

  CHECK_CUDA(cudaLaunchHostFunc(stream, callCuda, &journal));
  CHECK_CUDA(cudaStreamSynchronize(stream));
  EXPECT(journal.refused == cudaErrorNotPermitted, "CUDA within a host function: %s",
         cudaGetErrorName(journal.refused));
  CHECK_CUDA(cudaStreamDestroy(stream));
  return check::ok("host_functions: %zu in order", journal.entries.size());
}
