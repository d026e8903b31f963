#include "tests/bench/loop_floors.h"

#include <chrono>
#include <cmath>
#include <functional>
#include <thread>
#include <vector>

#include "tests/bench/floors.h"

namespace vgpu::bench {
namespace {

// Splits [0, count) over threads; the median of several runs.
double timed(int threads, size_t count, const std::function<void(size_t, size_t)>& work) {
  std::vector<double> times;
  for (int run = 0; run < 5; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    const auto part = [&](int t) { return count * static_cast<size_t>(t) / static_cast<size_t>(threads); };
    for (int t = 1; t < threads; ++t) others.emplace_back([&, t] { work(part(t), part(t + 1)); });
    work(part(0), part(1));
    for (std::thread& other : others) other.join();
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return median(times);
}

volatile float sink;

}  // namespace

double saxpyLoop(size_t count, int threads) {
  std::vector<float> x(count, 1.5f), y(count, 2.5f);
  return timed(threads, count, [&](size_t begin, size_t end) {
    const float* from = x.data();
    float* to = y.data();
    for (size_t i = begin; i < end; ++i) to[i] = 0.5f * from[i] + to[i];
  });
}

double matrixLoop(int side, int threads) {
  const auto n = static_cast<size_t>(side);
  std::vector<float> a(n * n, 0.5f), b(n * n, 0.25f), c(n * n);
  return timed(threads, n, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      float* row = c.data() + i * n;
      for (size_t j = 0; j < n; ++j) row[j] = 0;
      for (size_t k = 0; k < n; ++k) {
        const float factor = a[i * n + k];
        const float* other = b.data() + k * n;
        for (size_t j = 0; j < n; ++j) row[j] += factor * other[j];
      }
    }
  });
}

double bodiesLoop(int bodies, int threads) {
  const auto n = static_cast<size_t>(bodies);
  std::vector<float> x(n), y(n), z(n), w(n, 1.0f), out(3 * n);
  for (size_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(i % 37);
    y[i] = static_cast<float>(i % 101);
    z[i] = static_cast<float>(i % 7);
  }
  return timed(threads, n, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      float ax = 0, ay = 0, az = 0;
      for (size_t j = 0; j < n; ++j) {
        const float dx = x[j] - x[i], dy = y[j] - y[i], dz = z[j] - z[i];
        const float inverse = 1 / std::sqrt(dx * dx + dy * dy + dz * dz + 0.01f);
        const float strength = w[j] * inverse * inverse * inverse;
        ax += dx * strength;
        ay += dy * strength;
        az += dz * strength;
      }
      out[3 * i] = ax;
      out[3 * i + 1] = ay;
      out[3 * i + 2] = az;
    }
  });
}

double sumLoop(size_t count, int threads) {
  const std::vector<float> values(count, 0.5f);
  return timed(threads, count, [&](size_t begin, size_t end) {
    float sum = 0;
    for (size_t i = begin; i < end; ++i) sum += values[i];
    sink = sum;
  });
}

}  // namespace vgpu::bench
