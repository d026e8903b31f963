// What people write in their first month: histogram, transpose, prefix sum, bitonic sort, convolution, game
// of life.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/check.h"

__constant__ float weights[9];

__global__ void histogram(const unsigned char* data, int count, unsigned* bins) {
  __shared__ unsigned local[256];
  local[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
    atomicAdd(&local[data[i]], 1u);
  __syncthreads();
  atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}

__global__ void transpose(const float* in, float* out, int width, int height) {
  __shared__ float tile[32][33];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8) {
    if (x < width && y + j < height) tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * width + x];
  }
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x;
  y = blockIdx.x * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8) {
    if (x < height && y + j < width) out[(y + j) * height + x] = tile[threadIdx.x][threadIdx.y + j];
  }
}

// Hillis and Steele: a barrier between read and write of every step.
__global__ void scanBlock(const int* in, int* out) {
  __shared__ int values[2][512];
  int from = 0;
  values[0][threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  for (int offset = 1; offset < blockDim.x; offset *= 2) {
    const int to = 1 - from;
    values[to][threadIdx.x] =
        values[from][threadIdx.x] + (threadIdx.x >= offset ? values[from][threadIdx.x - offset] : 0);
    from = to;
    __syncthreads();
  }
  out[threadIdx.x] = values[from][threadIdx.x];
}

__global__ void bitonicSort(unsigned* data) {
  extern __shared__ unsigned keys[];
  keys[threadIdx.x] = data[blockIdx.x * blockDim.x + threadIdx.x];
  __syncthreads();
  for (unsigned size = 2; size <= blockDim.x; size *= 2) {
    for (unsigned stride = size / 2; stride > 0; stride /= 2) {
      const unsigned partner = threadIdx.x ^ stride;
      if (partner > threadIdx.x) {
        const bool ascending = (threadIdx.x & size) == 0;
        if ((keys[threadIdx.x] > keys[partner]) == ascending) {
          const unsigned held = keys[threadIdx.x];
          keys[threadIdx.x] = keys[partner];
          keys[partner] = held;
        }
      }
      __syncthreads();
    }
  }
  data[blockIdx.x * blockDim.x + threadIdx.x] = keys[threadIdx.x];
}

__global__ void convolve(const float* in, float* out, int count) {
  __shared__ float tile[128 + 8];
  const int i = blockIdx.x * 128 + threadIdx.x;
  tile[threadIdx.x + 4] = i < count ? in[i] : 0;
  if (threadIdx.x < 4) tile[threadIdx.x] = i >= 4 ? in[i - 4] : 0;
  if (threadIdx.x >= 124) tile[threadIdx.x + 8] = i + 4 < count ? in[i + 4] : 0;
  __syncthreads();
  if (i >= count) return;
  float sum = 0;
  for (int k = 0; k < 9; ++k) sum += tile[threadIdx.x + k] * weights[k];
  out[i] = sum;
}

__global__ void live(const unsigned char* now, unsigned char* next, int side) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= side || y >= side) return;
  int neighbours = 0;
  for (int dy = -1; dy <= 1; ++dy) {
    for (int dx = -1; dx <= 1; ++dx) {
      if (dx || dy) neighbours += now[(y + dy + side) % side * side + (x + dx + side) % side];
    }
  }
  next[y * side + x] = neighbours == 3 || (neighbours == 2 && now[y * side + x]);
}

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

static void countsBytes() {
  std::vector<unsigned char> data(100'003);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * i >> 3);
  unsigned* bins = onDevice(std::vector<unsigned>(256));
  histogram<<<7, 256>>>(onDevice(data), int(data.size()), bins);
  std::vector<unsigned> wanted(256);
  for (const unsigned char value : data) ++wanted[value];
  EXPECT(onHost(bins, 256) == wanted, "the histogram differs");
}

static void transposes() {
  constexpr int kWidth = 201, kHeight = 77;
  std::vector<float> in(kWidth * kHeight), wanted(in.size());
  for (int i = 0; i < kWidth * kHeight; ++i) wanted[i % kWidth * kHeight + i / kWidth] = in[i] = float(i);
  float* out = onDevice(wanted);
  CHECK_CUDA(cudaMemset(out, 0, wanted.size() * sizeof(float)));
  transpose<<<dim3(7, 3), dim3(32, 8)>>>(onDevice(in), out, kWidth, kHeight);
  EXPECT(onHost(out, wanted.size()) == wanted, "the transpose differs");
}

static void scansAndSorts() {
  std::vector<int> values(512), wanted(512);
  for (int i = 0; i < 512; ++i) wanted[i] = (values[i] = i * 7 % 13 - 3) + (i ? wanted[i - 1] : 0);
  int* scanned = onDevice(values);
  scanBlock<<<1, 512>>>(scanned, scanned);
  EXPECT(onHost(scanned, 512) == wanted, "the prefix sum differs");

  std::vector<unsigned> keys(4 * 256);
  unsigned state = 7;
  for (unsigned& key : keys) key = state = state * 1664525u + 1013904223u;
  unsigned* sorted = onDevice(keys);
  bitonicSort<<<4, 256, 256 * sizeof(unsigned)>>>(sorted);
  for (size_t block = 0; block < 4; ++block)
    std::sort(keys.begin() + long(block) * 256, keys.begin() + long(block + 1) * 256);
  EXPECT(onHost(sorted, keys.size()) == keys, "the bitonic sort differs");
}

static void convolves() {
  constexpr int kCount = 1000;
  std::vector<float> in(kCount), taps(9);
  for (int i = 0; i < kCount; ++i) in[i] = float(i % 17);
  for (int i = 0; i < 9; ++i) taps[i] = float(i + 1) / 8;
  CHECK_CUDA(cudaMemcpyToSymbol(weights, taps.data(), sizeof(weights)));
  float* out = onDevice(in);
  convolve<<<(kCount + 127) / 128, 128>>>(onDevice(in), out, kCount);
  const auto got = onHost(out, kCount);
  for (int i = 0; i < kCount; ++i) {
    float wanted = 0;
    for (int k = 0; k < 9; ++k) {
      if (i + k >= 4 && i + k - 4 < kCount) wanted += in[i + k - 4] * taps[k];
    }
    EXPECT(std::fabs(got[i] - wanted) < 1e-3f, "convolution at %d is %g instead of %g", i, got[i], wanted);
  }
}

static void lives() {
  constexpr int kSide = 50;
  std::vector<unsigned char> board(kSide * kSide);
  for (const int cell : {1, kSide + 2, 2 * kSide, 2 * kSide + 1, 2 * kSide + 2}) board[cell] = 1;  // a glider
  unsigned char *now = onDevice(board), *next = onDevice(board);
  for (int step = 0; step < 80; ++step, std::swap(now, next))
    live<<<dim3(4, 4), dim3(16, 16)>>>(now, next, kSide);
  const auto got = onHost(now, board.size());
  for (int i = 0; i < kSide * kSide; ++i) {  // every four steps it moves by one to the right and one down
    const int x = (i % kSide - 20 + kSide) % kSide, y = (i / kSide - 20 + kSide) % kSide;
    EXPECT(got[i] == board[y * kSide + x], "cell %d, %d differs after 80 steps", i % kSide, i / kSide);
  }
}

int main() {
  countsBytes();
  transposes();
  scansAndSorts();
  convolves();
  lives();
  return check::ok("algorithms: six of them");
}
