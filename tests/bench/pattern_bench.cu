// The patterns that CUDA programs are made of, as kernels beside plain loops in C++ with as many threads:
// where the CPU driver's code is good and where it is not. The two take turns, and the best time of each
// counts, so that a busy neighbour spoils neither. Each kernel's result is compared with the loop's.
//   pattern_bench WORKERS [name]     with a driver of that many workers; for
//   docs/decisions/threads-to-machine-code.md
#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/pattern_kernels.cuh"
#include "tests/bench/pattern_loops.h"
#include "tests/support/check.h"

using namespace vgpu::bench;

namespace {

constexpr int kRuns = 25;

int workers = 1;
const char* only = nullptr;

using Part = std::function<void(size_t, size_t)>;

double secondsOf(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Splits [0, count) in multiples of 16 over as many threads as the driver has workers.
void inParts(size_t count, const Part& work) {
  const auto part = [&](int t) { return count / 16 * size_t(t) / size_t(workers) * 16; };
  std::vector<std::thread> others;
  for (int t = 1; t < workers; ++t)
    others.emplace_back([&, t] { work(part(t), t + 1 == workers ? count : part(t + 1)); });
  work(0, workers == 1 ? count : part(1));
  for (std::thread& other : others) other.join();
}

template <class T>
class Buffer {
 public:
  explicit Buffer(std::vector<T> values) : host(std::move(values)) {
    CHECK_CUDA(cudaMalloc(&device, host.size() * sizeof(T)));
    CHECK_CUDA(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~Buffer() { CHECK_CUDA(cudaFree(device)); }
  std::vector<T> fetched() const {
    std::vector<T> values(host.size());
    CHECK_CUDA(cudaMemcpy(values.data(), device, values.size() * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }
  void clear() { CHECK_CUDA(cudaMemset(device, 0, host.size() * sizeof(T))); }

  std::vector<T> host;  // what the loop reads and writes
  T* device = nullptr;
};

std::vector<float> numbers(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = float(i * 7919 % 1000) / 1000.0f - 0.25f;
  return values;
}

std::vector<float> zeros(size_t count) { return std::vector<float>(count); }

template <class T>
double worstDifference(const Buffer<T>& result) {
  const std::vector<T> device = result.fetched();
  double worst = 0;
  for (size_t i = 0; i < device.size(); ++i) {
    const double a = double(device[i]), b = double(result.host[i]);
    worst = std::max(worst, std::fabs(a - b) / (std::fabs(b) + 1e-2));
  }
  return worst;
}

// The kernel and the loop once for the result, then in turns.
template <class T>
void compare(const char* name, Buffer<T>& result, const std::function<void()>& kernel,
             const std::function<void()>& loop) {
  if (only && std::strcmp(only, name) != 0) return;
  const auto launch = [&] {
    kernel();
    CHECK_CUDA(cudaDeviceSynchronize());
  };
  launch();
  loop();
  const double wrong = worstDifference(result);
  double best = 1e30, floor = 1e30;
  for (int run = 0; run < kRuns; ++run) {
    best = std::min(best, secondsOf(launch));
    floor = std::min(floor, secondsOf(loop));
  }
  std::printf("%-28s kernel %8.3f ms  loop %8.3f ms  ratio %6.2f  differs by %.1e%s\n", name, best * 1e3,
              floor * 1e3, best / floor, wrong, wrong < 2e-3 ? "" : "  WRONG");
  std::fflush(stdout);
}

void compareSums() {
  for (const size_t count : {size_t{1} << 20, size_t{16} << 20}) {
    Buffer<float> values(numbers(count)), sums(zeros(256));
    const bool small = count == size_t{1} << 20;
    const auto total = [&] {  // into the first sum, so that both buffers hold the same
      std::vector<float> parts = sums.fetched();
      for (size_t i = 1; i < parts.size(); ++i) parts[0] += parts[i], parts[i] = 0;
      CHECK_CUDA(cudaMemcpy(sums.device, parts.data(), parts.size() * sizeof(float), cudaMemcpyHostToDevice));
    };
    bool first = true;
    compare(
        small ? "sum by shuffles, 4 MiB" : "sum by shuffles, 64 MiB", sums,
        [&] {
          sumByShuffles<<<256, kWide>>>(values.device, count, sums.device);
          if (std::exchange(first, false)) total();
        },
        [&] {
          std::vector<float> parts(size_t(workers) * 16);
          std::atomic<int> next{0};
          inParts(count, [&](size_t begin, size_t end) {
            parts[size_t(next++) * 16] = sumPart(values.host.data(), begin, end);
          });
          sums.host[0] = 0;
          for (float part : parts) sums.host[0] += part;
        });
  }
}

void compareTree() {
  const size_t count = size_t{4} << 20, blocks = count / (2 * kWide);
  Buffer<float> values(numbers(count)), sums(zeros(blocks));
  compare(
      "sum by a tree, 16 MiB", sums,
      [&] { sumByTree<<<unsigned(blocks), kWide>>>(values.device, sums.device, unsigned(count)); },
      [&] {
        inParts(blocks, [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i)
            sums.host[i] = sumPart(values.host.data(), i * 2 * kWide, (i + 1) * 2 * kWide);
        });
      });
}

void compareRows() {
  const size_t rows = 2048, columns = 1024;
  Buffer<float> in(numbers(rows * columns)), out(zeros(rows * columns));
  compare(
      "softmax of 2048 rows", out, [&] { softmax<<<rows, kWide>>>(in.device, out.device, int(columns)); },
      [&] {
        inParts(rows,
                [&](size_t b, size_t e) { softmaxRows(in.host.data(), out.host.data(), columns, b, e); });
      });
  compare(
      "layer norm of 2048 rows", out,
      [&] { normalize<<<rows, kWide>>>(in.device, out.device, int(columns)); },
      [&] {
        inParts(rows,
                [&](size_t b, size_t e) { normalizeRows(in.host.data(), out.host.data(), columns, b, e); });
      });
}

void compareHistogram() {
  const size_t count = size_t{4} << 20;
  std::vector<uint32_t> random(count);
  uint32_t state = 1;
  for (uint32_t& value : random) value = (state = state * 1664525u + 1013904223u) >> 16;
  Buffer<uint32_t> values(random), counts(std::vector<uint32_t>(256));
  compare(
      "histogram, 256 bins", counts,
      [&] {
        counts.clear();
        histogram<<<64, kWide>>>(values.device, counts.device, count);
      },
      [&] {
        std::vector<std::vector<uint32_t>> parts(size_t(workers), std::vector<uint32_t>(256));
        std::atomic<int> next{0};
        inParts(count, [&](size_t b, size_t e) {
          histogramPart(values.host.data(), parts[size_t(next++)].data(), b, e);
        });
        for (size_t bin = 0; bin < 256; ++bin) {
          counts.host[bin] = 0;
          for (const auto& part : parts) counts.host[bin] += part[bin];
        }
      });
}

void compareGrids() {
  const size_t side = 2048;
  const int n = int(side);
  Buffer<float> in(numbers(side * side)), out(zeros(side * side));
  const dim3 tiles(side / 32, side / 32);
  compare(
      "transpose of 2048 x 2048", out, [&] { transpose<<<tiles, dim3(32, 8)>>>(in.device, out.device, n); },
      [&] {
        inParts(side,
                [&](size_t b, size_t e) { transposeRows(in.host.data(), out.host.data(), side, b, e); });
      });
  out.clear();
  std::fill(out.host.begin(), out.host.end(), 0.0f);
  const auto loop = [&] {
    inParts(side, [&](size_t b, size_t e) { stencilRows(in.host.data(), out.host.data(), side, b, e); });
  };
  compare(
      "stencil, 2048 x 2048", out,
      [&] { stencil<<<dim3(side / 32, side / 8), dim3(32, 8)>>>(in.device, out.device, n); }, loop);
  compare(
      "stencil in tiles", out,
      [&] { stencilTiled<<<dim3(side / 32, side / 16), dim3(32, 16)>>>(in.device, out.device, n); }, loop);
}

void compareScan() {
  const size_t runs = 16384;
  Buffer<float> in(numbers(runs * kWide)), out(zeros(runs * kWide));
  compare(
      "scan of 16384 runs", out, [&] { scan<<<unsigned(runs), kWide>>>(in.device, out.device); },
      [&] { inParts(runs, [&](size_t b, size_t e) { scanRuns(in.host.data(), out.host.data(), b, e); }); });
}

void compareVectors() {
  const size_t count = size_t{16} << 20;
  Buffer<float> x(numbers(count)), y(numbers(count));
  compare(
      "saxpy of 64 MiB", y,
      [&] { saxpy<<<unsigned(count / kWide), kWide>>>(0.5f, x.device, y.device, int(count)); },
      [&] {
        inParts(count, [&](size_t b, size_t e) { saxpyPart(0.5f, x.host.data(), y.host.data(), b, e); });
      });
}

void compareProduct() {
  const size_t side = 512;
  Buffer<float> a(numbers(side * side)), b(numbers(side * side)), c(zeros(side * side));
  compare(
      "product of 512 x 512, tiled", c,
      [&] {
        multiply<<<dim3(side / 16, side / 16), dim3(16, 16)>>>(a.device, b.device, c.device, int(side));
      },
      [&] {
        inParts(side, [&](size_t from, size_t to) {
          matrixRows(a.host.data(), b.host.data(), c.host.data(), side, from, to);
        });
      });
}

void compareSparse() {
  const size_t rows = 1 << 17, across = 32;
  std::vector<int> starts(rows + 1), columns;
  for (size_t row = 0; row < rows; ++row) {
    const size_t length = row * 7 % across;
    for (size_t i = 0; i < length; ++i) columns.push_back(int((row * 31 + i * 101) % rows));
    starts[row + 1] = int(columns.size());
  }
  Buffer<int> from(starts), where(columns);
  Buffer<float> values(numbers(columns.size())), x(numbers(rows)), y(zeros(rows));
  compare(
      "sparse rows of 0 to 31", y,
      [&] {
        sparse<<<rows / kWide, kWide>>>(from.device, where.device, values.device, x.device, y.device,
                                        int(rows));
      },
      [&] {
        inParts(rows, [&](size_t b, size_t e) {
          sparseRows(from.host.data(), where.host.data(), values.host.data(), x.host.data(), y.host.data(), b,
                     e);
        });
      });
}

void compareBodies() {
  const size_t count = 8192;
  Buffer<float> bodies(numbers(4 * count)), out(zeros(4 * count));
  compare(
      "n-body of 8192", out,
      [&] {
        accelerate<<<count / 128, 128>>>(reinterpret_cast<float4*>(bodies.device),
                                         reinterpret_cast<float4*>(out.device), int(count));
      },
      [&] {
        inParts(count,
                [&](size_t b, size_t e) { bodiesPart(bodies.host.data(), out.host.data(), count, b, e); });
      });
}

}  // namespace

int main(int count, char** arguments) {
  workers = count > 1 ? std::atoi(arguments[1]) : 1;
  only = count > 2 ? arguments[2] : nullptr;
  compareSums();
  compareTree();
  compareRows();
  compareHistogram();
  compareGrids();
  compareScan();
  compareVectors();
  compareProduct();
  compareSparse();
  compareBodies();
  return 0;
}
