// CUB's device-wide algorithms: radix sort of keys and of pairs, scan, reduction, selection, histogram.
#include <cuda_runtime.h>

#include <algorithm>
#include <cub/cub.cuh>
#include <numeric>
#include <vector>

#include "tests/support/check.h"

template <typename T>
T* onDevice(const std::vector<T>& host) {
  T* device;
  CHECK_CUDA(cudaMalloc(&device, host.size() * sizeof(T)));
  CHECK_CUDA(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  return device;
}

template <typename T>
std::vector<T> onHost(const T* device, size_t count) {
  std::vector<T> host(count);
  CHECK_CUDA(cudaMemcpy(host.data(), device, count * sizeof(T), cudaMemcpyDeviceToHost));
  return host;
}

// CUB's two steps: ask for the size of the temporary storage, then work.
template <typename Algorithm>
void run(Algorithm algorithm) {
  void* storage = nullptr;
  size_t bytes = 0;
  CHECK_CUDA(algorithm(storage, bytes));
  CHECK_CUDA(cudaMalloc(&storage, bytes));
  CHECK_CUDA(algorithm(storage, bytes));
  CHECK_CUDA(cudaDeviceSynchronize());
  CHECK_CUDA(cudaFree(storage));
}

static std::vector<unsigned> numbers(size_t count) {
  std::vector<unsigned> values(count);
  unsigned state = 12345;
  for (unsigned& value : values) value = state = state * 1664525u + 1013904223u;
  return values;
}

static void sorts(int count) {
  const std::vector<unsigned> keys = numbers(size_t(count));
  std::vector<int> places(keys.size());
  std::iota(places.begin(), places.end(), 0);
  unsigned *in = onDevice(keys), *out = onDevice(keys);
  int *placesIn = onDevice(places), *placesOut = onDevice(places);
  run([&](void* storage, size_t& bytes) {
    return cub::DeviceRadixSort::SortKeys(storage, bytes, in, out, count);
  });
  std::vector<unsigned> sorted = keys;
  std::sort(sorted.begin(), sorted.end());
  EXPECT(onHost(out, keys.size()) == sorted, "%d keys are not in order", count);
  run([&](void* storage, size_t& bytes) {
    return cub::DeviceRadixSort::SortPairsDescending(storage, bytes, in, out, placesIn, placesOut, count);
  });
  std::stable_sort(places.begin(), places.end(), [&](int a, int b) { return keys[a] > keys[b]; });
  EXPECT(onHost(placesOut, keys.size()) == places, "%d pairs are not in descending order", count);
  for (void* memory : {(void*)in, (void*)out, (void*)placesIn, (void*)placesOut})
    CHECK_CUDA(cudaFree(memory));
}

static void scansAndReduces(int count) {
  std::vector<unsigned> values = numbers(size_t(count));
  unsigned *in = onDevice(values), *out = onDevice(values), *sum = onDevice(std::vector<unsigned>(1));
  run([&](void* storage, size_t& bytes) {
    return cub::DeviceScan::InclusiveSum(storage, bytes, in, out, count);
  });
  std::vector<unsigned> scanned(values.size());
  std::partial_sum(values.begin(), values.end(), scanned.begin());
  EXPECT(onHost(out, values.size()) == scanned, "the scan of %d differs", count);
  run([&](void* storage, size_t& bytes) { return cub::DeviceReduce::Sum(storage, bytes, in, sum, count); });
  EXPECT(onHost(sum, 1)[0] == scanned.back(), "the sum of %d is %u instead of %u", count, onHost(sum, 1)[0],
         scanned.back());
  run([&](void* storage, size_t& bytes) { return cub::DeviceReduce::Max(storage, bytes, in, sum, count); });
  EXPECT(onHost(sum, 1)[0] == *std::max_element(values.begin(), values.end()), "the maximum of %d differs",
         count);
  for (void* memory : {in, out, sum}) CHECK_CUDA(cudaFree(memory));
}

struct IsOdd {
  __host__ __device__ bool operator()(unsigned value) const { return value & 1; }
};

static void selectsAndCounts(int count) {
  std::vector<unsigned> values = numbers(size_t(count));
  unsigned *in = onDevice(values), *out = onDevice(values);
  int* selected = onDevice(std::vector<int>(1));
  run([&](void* storage, size_t& bytes) {
    return cub::DeviceSelect::If(storage, bytes, in, out, selected, count, IsOdd{});
  });
  std::vector<unsigned> odd;
  std::copy_if(values.begin(), values.end(), std::back_inserter(odd), IsOdd{});
  EXPECT(onHost(selected, 1)[0] == int(odd.size()), "%d selected instead of %zu", onHost(selected, 1)[0],
         odd.size());
  EXPECT(onHost(out, odd.size()) == odd, "what was selected of %d differs", count);

  int* bins = onDevice(std::vector<int>(64));
  run([&](void* storage, size_t& bytes) {
    return cub::DeviceHistogram::HistogramEven(storage, bytes, in, bins, 65, 0u, 0xffffffc0u, count);
  });
  std::vector<int> counted(64);
  for (const unsigned value : values) {
    if (value < 0xffffffc0u) ++counted[size_t(uint64_t(value) * 64 / 0xffffffc0u)];
  }
  EXPECT(onHost(bins, 64) == counted, "the histogram of %d differs", count);
  for (void* memory : {(void*)in, (void*)out, (void*)selected, (void*)bins}) CHECK_CUDA(cudaFree(memory));
}

int main() {
  for (const int count : {1, 1000, 200'003}) {
    sorts(count);
    scansAndReduces(count);
  }
  selectsAndCounts(100'000);
  return check::ok("cub_radix_sort: sort, scan, reduce, select, histogram");
}
