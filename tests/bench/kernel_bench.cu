// What the CPU driver makes of kernels, beside the same work as loops in C++ with as many threads.
// One line of JSON a figure, for tools/bench.
//   kernel_bench WORKERS [seconds of the 512 x 512 product with one worker]   run with a driver of that many
//   workers
#include <cuda_runtime.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/figure.h"
#include "tests/bench/floors.h"
#include "tests/bench/loop_floors.h"
#include "tests/support/check.h"

using namespace vgpu::bench;

namespace {

constexpr int kSide = 512, kTile = 16, kBodies = 8192, kBodyTile = 128;
constexpr size_t kSaxpyCount = (size_t{64} << 20) / sizeof(float), kSumCount = size_t{16} << 20;

__global__ void saxpy(size_t count, float factor, const float* x, float* y) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) y[i] = factor * x[i] + y[i];
}

__global__ void multiply(const float* a, const float* b, float* c, int side) {
  __shared__ float tileA[kTile][kTile], tileB[kTile][kTile];
  const int row = blockIdx.y * kTile + threadIdx.y, column = blockIdx.x * kTile + threadIdx.x;
  float sum = 0;
  for (int step = 0; step < side; step += kTile) {
    tileA[threadIdx.y][threadIdx.x] = a[row * side + step + threadIdx.x];
    tileB[threadIdx.y][threadIdx.x] = b[(step + threadIdx.y) * side + column];
    __syncthreads();
    for (int k = 0; k < kTile; ++k) sum += tileA[threadIdx.y][k] * tileB[k][threadIdx.x];
    __syncthreads();
  }
  c[row * side + column] = sum;
}

__global__ void accelerate(const float4* bodies, float4* out, int count) {
  __shared__ float4 tile[kBodyTile];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const float4 me = bodies[i];
  float3 sum = {0, 0, 0};
  for (int begin = 0; begin < count; begin += kBodyTile) {
    tile[threadIdx.x] = bodies[begin + threadIdx.x];
    __syncthreads();
    for (int j = 0; j < kBodyTile; ++j) {
      const float dx = tile[j].x - me.x, dy = tile[j].y - me.y, dz = tile[j].z - me.z;
      const float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + 0.01f);
      const float strength = tile[j].w * inverse * inverse * inverse;
      sum.x += dx * strength;
      sum.y += dy * strength;
      sum.z += dz * strength;
    }
    __syncthreads();
  }
  out[i] = make_float4(sum.x, sum.y, sum.z, 0);
}

__global__ void blockSum(const float* values, size_t count, float* total) {
  __shared__ float partial[8];
  float sum = 0;
  for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += size_t(gridDim.x) * blockDim.x)
    sum += values[i];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 8) {
    sum = partial[threadIdx.x];
    for (int offset = 4; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffu, sum, offset);
    if (threadIdx.x == 0) atomicAdd(total, sum);
  }
}

__global__ void nothing() {}

double seconds(const std::function<void()>& launch) {
  launch();  // compiles, touches
  CHECK_CUDA(cudaDeviceSynchronize());
  std::vector<double> times;
  for (int run = 0; run < 5; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    launch();
    CHECK_CUDA(cudaDeviceSynchronize());
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return median(times);
}

float* filled(size_t count) {
  float* device;
  const std::vector<float> host(count, 0.5f);
  CHECK_CUDA(cudaMalloc(&device, count * sizeof(float)));
  CHECK_CUDA(cudaMemcpy(device, host.data(), count * sizeof(float), cudaMemcpyHostToDevice));
  return device;
}

void measureKernels(int workers, double oneWorker, const std::string& with) {
  float *x = filled(kSaxpyCount), *y = filled(kSaxpyCount);
  const InTurns axpy = inTurns(
      [&] { return seconds([&] { saxpy<<<unsigned(kSaxpyCount / 256), 256>>>(kSaxpyCount, 0.5f, x, y); }); },
      [&] { return saxpyLoop(kSaxpyCount, workers); });
  // Three times the vector's bytes move: speeds, so that more is better.
  const double bytes = 3.0 * kSaxpyCount * sizeof(float);
  print({"saxpy of 64 MiB" + with, bytes / axpy.figure, "B/s", bytes / axpy.floor, "the loop in C++",
         Bound::AtLeast, 0.8});

  float *a = filled(kSide * kSide), *b = filled(kSide * kSide), *c = filled(kSide * kSide);
  const dim3 grid(kSide / kTile, kSide / kTile), block(kTile, kTile);
  const InTurns product = inTurns([&] { return seconds([&] { multiply<<<grid, block>>>(a, b, c, kSide); }); },
                                  [&] { return matrixLoop(kSide, workers); });
  print({"512 x 512 product in tiles" + with, product.figure, "s", product.floor, "the ikj loop in C++",
         Bound::AtMost, 2});
  if (oneWorker > 0) {
    print({"512 x 512 product, speed-up" + with, oneWorker / product.figure, "x", double(workers),
           "one a worker", Bound::AtLeast, 0.8});
  }

  float *bodies = filled(4 * kBodies), *out = filled(4 * kBodies);
  const InTurns all = inTurns(
      [&] {
        return seconds([&] {
          accelerate<<<kBodies / kBodyTile, kBodyTile>>>(reinterpret_cast<float4*>(bodies),
                                                         reinterpret_cast<float4*>(out), kBodies);
        });
      },
      [&] { return bodiesLoop(kBodies, workers); });
  print({"n-body of 8192" + with, all.figure, "s", all.floor, "the loop in C++ -ffast-math", Bound::AtMost,
         1.5});

  float *values = filled(kSumCount), *total = filled(1);
  const InTurns sum =
      inTurns([&] { return seconds([&] { blockSum<<<256, 256>>>(values, kSumCount, total); }); },
              [&] { return sumLoop(kSumCount, workers); });
  const double read = kSumCount * sizeof(float);
  print({"block reduction with shuffles" + with, read / sum.figure, "B/s", read / sum.floor,
         "the loop in C++ -ffast-math", Bound::AtLeast, 0.5});
  for (float* memory : {x, y, a, b, c, bodies, out, values, total}) CHECK_CUDA(cudaFree(memory));
}

void measureLaunches() {
  const double many = seconds([] {
    for (int i = 0; i < 10'000; ++i) nothing<<<1, 32>>>();
  });
  print({"launch of <<<1, 32>>>, mean of 10,000", many / 10'000, "s", 5e-6, "5 us", Bound::AtMost, 1});
  std::vector<double> times;
  for (int i = 0; i < 100; ++i) {
    timespec pause{0, 5'000'000};
    nanosleep(&pause, nullptr);
    const auto begin = std::chrono::steady_clock::now();
    nothing<<<1, 32>>>();
    CHECK_CUDA(cudaDeviceSynchronize());
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  print({"launch and synchronise from idle", median(times), "s", futexWakeAndAnswer(),
         "a futex wake and its answer", Bound::AtMost, 1.5});
}

}  // namespace

int main(int count, char** arguments) {
  const int workers = count > 1 ? std::atoi(arguments[1]) : 1;
  const double oneWorker = count > 2 ? std::atof(arguments[2]) : 0;
  measureKernels(workers, oneWorker,
                 ", " + std::to_string(workers) + (workers == 1 ? " worker" : " workers"));
  if (workers == 1) measureLaunches();
  return 0;
}
