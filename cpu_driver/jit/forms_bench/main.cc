// Compares the forms on real kernels with plain loops, one worker: the measurements of docs/decisions.
// Times are the best of several runs; ratio is kernel over loop. Not a test.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>

#include "cpu_driver/jit/form_testing.h"
#include "cpu_driver/jit/forms_bench/floors.h"
#include "cpu_driver/jit/forms_bench/kernels.h"

namespace {

using namespace vgpu;
using jit::testing::LaunchShape;

double bestMilliseconds(const std::function<void()>& body, const std::function<void()>& between, int runs) {
  double best = 1e30;
  for (int i = 0; i < runs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
    between();
  }
  return best;
}

double bestMilliseconds(const std::function<void()>& body, int runs) {
  return bestMilliseconds(body, [] {}, runs);
}

struct Case {
  const char* name;
  std::string text;
  LaunchShape shape;
  uint32_t sharedBytes;
  std::vector<std::byte> parameters;
  std::function<void()> floor;
  std::function<double()> error;  // against the floor's result
};

template <class... T>
std::vector<std::byte> pack(T... values) {
  std::vector<std::byte> bytes;
  const auto put = [&](auto value) {
    while (bytes.size() % sizeof value != 0) bytes.push_back({});
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), begin, begin + sizeof value);
  };
  (put(values), ...);
  bytes.resize(64);
  return bytes;
}

void runCase(const Case& test, const char* only) {
  if (only && std::strcmp(only, test.name) != 0) return;
  for (const kernel::Form form : {kernel::Form::Loops, kernel::Form::Fibers}) {
    jit::FormOptions options;
    options.form = form;
    options.block = test.shape.block;
    jit::testing::Built built;
    const double compile = bestMilliseconds(
        [&] {
          built = jit::testing::build(jit::testing::fromAssembly(test.text, test.sharedBytes), options);
        },
        1);
    if (std::getenv("VGPU_JIT_DUMP") && form == kernel::Form::Loops) break;
    if (!built.image) {
      std::printf("  %-8s %s\n", kernel::formName(form), built.log.c_str());
      continue;
    }
    kernel::Runner runner(0);
    kernel::installFaultHandler();
    kernel::ensureSignalStack();
    kernel::RunStatus status = kernel::RunStatus::Done;
    double floor = 1e30;
    const double took = bestMilliseconds(
        [&] {
          kernel::LaunchContext launch;
          launch.grid = test.shape.grid;
          launch.block = test.shape.block;
          launch.parameters = test.parameters.data();
          launch.prepare();
          status = runner.run(*built.image, launch).status;
        },
        [&] { floor = std::min(floor, bestMilliseconds(test.floor, 1)); },
        form == kernel::Form::Loops ? 25 : 3);
    std::printf("%-11s loop %9.3f ms  %-6s %9.3f ms  ratio %6.2f  compile %6.1f ms  error %.2g  %s\n",
                test.name, floor, kernel::formName(form), took, took / floor, compile, test.error(),
                kernel::runStatusName(status));
  }
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, static_cast<double>(std::fabs(a[i] - b[i]) / (std::fabs(b[i]) + 1e-3f)));
  return worst;
}

std::vector<float> numbers(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i * 7919 % 1000) / 1000.0f + 0.001f;
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace vgpu::jit;
  const char* only = argc > 1 ? argv[1] : nullptr;
  {
    const int n = 16 << 20;
    auto x = numbers(n), y = numbers(n);
    runCase({"saxpy",
             bench::saxpy(),
             {.grid = {n / 256u, 1, 1}, .block = {256, 1, 1}},
             0,
             pack(x.data(), y.data(), 0.0f, n),
             [&] { bench::saxpyLoop(0.0f, x.data(), y.data(), n); },
             [&] { return difference(y, numbers(n)); }},
            only);
  }
  {
    const int n = 512;
    auto a = numbers(n * n), b = numbers(n * n);
    std::vector<float> c(n * n), expected(n * n);
    runCase({"matmul",
             bench::matmul(),
             {.grid = {32, 32, 1}, .block = {16, 16, 1}},
             2048,
             pack(a.data(), b.data(), c.data(), n),
             [&] { bench::matmulLoop(a.data(), b.data(), expected.data(), n); },
             [&] { return difference(c, expected); }},
            only);
  }
  {
    const int n = 4096;
    auto p = numbers(4 * n);
    std::vector<float> out(4 * n), expected(4 * n);
    runCase({"nbody",
             bench::nbody(),
             {.grid = {n / 256, 1, 1}, .block = {256, 1, 1}},
             4096,
             pack(p.data(), out.data(), n),
             [&] { bench::nbodyLoop(p.data(), expected.data(), n); },
             [&] { return difference(out, expected); }},
            only);
  }
  for (const int n : {1 << 20, (16 << 20) + 777}) {
    auto in = numbers(static_cast<size_t>(n));
    std::vector<float> out(64);
    float sum = 0;
    runCase({"reduction",
             bench::reduction(),
             {.grid = {64, 1, 1}, .block = {256, 1, 1}},
             128,
             pack(in.data(), out.data(), n),
             [&] { sum = bench::sumLoop(in.data(), in.size()); },
             [&] {
               double total = 0;
               for (const float part : out) total += part;
               return std::fabs(total - sum) / sum;
             }},
            only);
  }
  {
    const int width = 512, height = 512, limit = 256;
    std::vector<int> out(width * height), expected(width * height);
    runCase({"mandelbrot",
             bench::mandelbrot(),
             {.grid = {32, 32, 1}, .block = {16, 16, 1}},
             0,
             pack(out.data(), width, height, limit),
             [&] { bench::mandelbrotLoop(expected.data(), width, height, limit); },
             [&] {
               size_t wrong = 0;
               for (size_t i = 0; i < out.size(); ++i) wrong += out[i] != expected[i];
               return static_cast<double>(wrong) / static_cast<double>(out.size());
             }},
            only);
  }
  {
    volatile int sink = 0;
    runCase({"nothing",
             bench::nothing(),
             {.grid = {10000, 1, 1}, .block = {32, 1, 1}},
             0,
             pack(0),
             [&] {
               for (int i = 0; i < 320000; ++i) sink = i;
             },
             [] { return 0.0; }},
            only);
  }
  return 0;
}
