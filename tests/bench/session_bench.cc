// What a program's calls cost through a session: launches, waits and copies by the driver API, beside the
// floors of the same run. Run by tools/bench with the carrier chosen by the environment:
//   session_bench calls    waiting calls and launches over shared memory
//   session_bench copies   bulk copies over shared memory
//   session_bench tcp, unix-stream   round trip and bandwidth over such a session
//   session_bench wait     only the waiting call (to compare with idle sessions beside it); prints seconds
//   session_bench first    from cuInit to the end of the first launch; prints seconds
//   session_bench idle     holds a session until its standard input ends
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "protocol/abi/cuda.h"
#include "tests/bench/figure.h"
#include "tests/bench/floors.h"

namespace vgpu::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBulkBytes = size_t{64} << 20;

const char* const kKernels = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .entry nothing() { ret; }
.visible .entry ten(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d, .param .u64 e,
                    .param .u32 f, .param .u32 g, .param .u32 h, .param .u32 i, .param .u32 j) { ret; }
)";

void check(CUresult status, const char* what) {
  if (status == CUDA_SUCCESS) return;
  std::fprintf(stderr, "session_bench: %s answered %d\n", what, status);
  std::exit(1);
}
#define CHECKED(call) check(call, #call)

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Program {
  CUcontext context = nullptr;
  CUmodule module = nullptr;
  CUfunction nothing = nullptr, ten = nullptr;

  Program() {
    CHECKED(cuInit(0));
    CHECKED(cuCtxCreate_v2(&context, 0, 0));
    CHECKED(cuModuleLoadData(&module, kKernels));
    CHECKED(cuModuleGetFunction(&nothing, module, "nothing"));
    CHECKED(cuModuleGetFunction(&ten, module, "ten"));
  }
  void launchNothing(CUstream stream = nullptr, unsigned threads = 1) const {
    CHECKED(cuLaunchKernel(nothing, 1, 1, 1, threads, 1, 1, 0, stream, nullptr, nullptr));
  }
  void launchTen(CUstream stream) const {
    uint64_t wide = 1;
    uint32_t narrow = 2;
    void* parameters[] = {&wide, &wide, &wide, &wide, &wide, &narrow, &narrow, &narrow, &narrow, &narrow};
    CHECKED(cuLaunchKernel(ten, 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr));
  }
};

// A call that waits for an answer of the executor and does nothing there.
void waitingCall() {
  CUfunc_cache cache;
  CHECKED(cuCtxGetCacheConfig(&cache));
}

double waitingCallSeconds() {
  std::vector<double> batches;
  for (int batch = 0; batch < 200; ++batch) {
    constexpr int kCalls = 200;
    const auto start = Clock::now();
    for (int i = 0; i < kCalls; ++i) waitingCall();
    batches.push_back(secondsSince(start) / kCalls);
  }
  return median(batches);
}

// The program's own time for a launch while the executor keeps up: short bursts that fit the ring, then a
// wait.
double postedLaunchSeconds(const Program& program, int threadCount) {
  std::vector<std::thread> threads;
  std::vector<double> perThread(static_cast<size_t>(threadCount));
  for (int t = 0; t < threadCount; ++t) {
    threads.emplace_back([&, t] {
      CHECKED(cuCtxSetCurrent(program.context));
      CUstream stream;
      CHECKED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
      std::vector<double> bursts;
      for (int burst = 0; burst < 100; ++burst) {
        constexpr int kLaunches = 100;
        const auto start = Clock::now();
        for (int i = 0; i < kLaunches; ++i) program.launchTen(stream);
        bursts.push_back(secondsSince(start) / kLaunches);
        CHECKED(cuStreamSynchronize(stream));
      }
      perThread[static_cast<size_t>(t)] = median(bursts);
      CHECKED(cuStreamDestroy_v2(stream));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return median(perThread);
}

double launchRate(const Program& program, unsigned threads, int launches) {
  std::vector<double> rates;
  for (int round = 0; round < 7; ++round) {
    const auto start = Clock::now();
    for (int i = 0; i < launches; ++i) program.launchNothing(nullptr, threads);
    CHECKED(cuCtxSynchronize());
    rates.push_back(launches / secondsSince(start));
  }
  return median(rates);
}

double launchAndWaitFromIdle(const Program& program) {
  std::vector<double> seconds;
  for (int i = 0; i < 100; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    const auto start = Clock::now();
    program.launchNothing();
    CHECKED(cuCtxSynchronize());
    seconds.push_back(secondsSince(start));
  }
  return median(seconds);
}

void calls() {
  const Program program;
  program.launchNothing();
  program.launchTen(nullptr);
  CHECKED(cuCtxSynchronize());
  const InTurns waiting = inTurns(waitingCallSeconds, pingPong);
  print({"waiting call, memfd", waiting.figure, "s", waiting.floor, "R0, one shared line each way",
         Bound::AtMost, 4});
  for (const int threads : {1, 2, 8}) {
    const InTurns posted =
        inTurns([&] { return postedLaunchSeconds(program, threads); }, [&] { return ringRecord(threads); });
    print({"posted launch of ten parameters, " + std::to_string(threads) + " threads", posted.figure, "s",
           posted.floor, "raw 192-byte ring record", Bound::AtMost, 3});
  }
  const InTurns rate = inTurns([&] { return launchRate(program, 1, 200'000); }, [] { return ringRate(1); });
  print({"launches of nothing, end to end", rate.figure, "1/s", rate.floor, "raw ring of 192-byte records",
         Bound::AtLeast, 0.4});
  print({"10,000 launches of <<<1,32>>> and a wait, each", 1 / launchRate(program, 32, 10'000), "s", 5e-6,
         "5 us", Bound::AtMost, 1});
  const InTurns idle = inTurns([&] { return launchAndWaitFromIdle(program); }, futexWakeAndAnswer);
  print({"launch and wait from idle", idle.figure, "s", idle.floor, "futex wake and answer", Bound::AtMost,
         1.5});
}

template <class Copy>
double bandwidth(Copy copy) {
  copy();  // first touch
  std::vector<double> rates;
  for (int round = 0; round < 5; ++round) {
    const auto start = Clock::now();
    copy();
    rates.push_back(static_cast<double>(kBulkBytes) / secondsSince(start));
  }
  return median(rates);
}

void copies() {
  const Program program;
  CUdeviceptr device;
  CHECKED(cuMemAlloc_v2(&device, kBulkBytes));
  std::vector<char> pageable(kBulkBytes, 1);
  void* pinned;
  CHECKED(cuMemAllocHost_v2(&pinned, kBulkBytes));
  std::memset(pinned, 1, kBulkBytes);
  const auto toDevice = [&](const void* from) {
    CHECKED(cuMemcpyHtoD_v2(device, from, kBulkBytes));
    CHECKED(cuCtxSynchronize());
  };
  const auto compare = [&](const char* name, double must, const auto& copy) {
    const InTurns rates = inTurns([&] { return bandwidth(copy); }, streamedCopyBandwidth);
    print({name, rates.figure, "B/s", rates.floor, "NT0, non-temporal copy", Bound::AtLeast, must});
  };
  compare("pageable to device, 64 MiB", 0.75, [&] { toDevice(pageable.data()); });
  compare("device to pageable, 64 MiB", 0.7,
          [&] { CHECKED(cuMemcpyDtoH_v2(pageable.data(), device, kBulkBytes)); });
  // No processor copy but the CPU driver's own, which stands for the device's copy engine: so as fast as one
  // copy.
  compare("pinned to device, 64 MiB", 0.9, [&] { toDevice(pinned); });
}

// Which processors the two ends of a socket get decides more than what they do there, and stays so for a
// while: each figure is measured in turn with its floor, often enough for both to have seen all cases.
void stream(Socket kind, const std::string& name) {
  const Program program;
  CUdeviceptr device;
  CHECKED(cuMemAlloc_v2(&device, kBulkBytes));
  std::vector<char> pageable(kBulkBytes, 1);
  const auto up = [&] {
    CHECKED(cuMemcpyHtoD_v2(device, pageable.data(), kBulkBytes));
    CHECKED(cuCtxSynchronize());
  };
  const auto down = [&] { CHECKED(cuMemcpyDtoH_v2(pageable.data(), device, kBulkBytes)); };
  const InTurns waiting = inTurns(waitingCallSeconds, [&] { return socketPingPong(kind); });
  print({"waiting call, " + name, waiting.figure, "s", waiting.floor, "raw ping-pong", Bound::AtMost, 1.3});
  std::vector<double> raw, in, out;
  for (int round = 0; round < 9; ++round) {
    raw.push_back(socketBandwidth(kind));
    in.push_back(bandwidth(up));
    out.push_back(bandwidth(down));
  }
  print({"pageable to device, " + name, median(in), "B/s", median(raw), "raw stream", Bound::AtLeast, 0.9});
  print({"device to pageable, " + name, median(out), "B/s", median(raw), "raw stream", Bound::AtLeast, 0.9});
}

void first() {
  const auto start = Clock::now();
  const Program program;
  program.launchNothing();
  CHECKED(cuCtxSynchronize());
  std::printf("%.6f\n", secondsSince(start));
}

void idle() {
  const Program program;
  program.launchNothing();
  CHECKED(cuCtxSynchronize());
  std::puts("idle");
  std::fflush(stdout);
  char byte;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

int run(const std::string& what) {
  if (what == "calls") return calls(), 0;
  if (what == "copies") return copies(), 0;
  if (what == "tcp") return stream(Socket::Tcp, what), 0;
  if (what == "unix-stream") return stream(Socket::Unix, what), 0;
  if (what == "first") return first(), 0;
  if (what == "idle") return idle(), 0;
  if (what == "wait") {
    const Program program;
    std::printf("%.9f\n", waitingCallSeconds());
    return 0;
  }
  std::fprintf(stderr, "usage: session_bench calls|copies|tcp|unix-stream|wait|first|idle\n");
  return 2;
}

}  // namespace
}  // namespace vgpu::bench

int main(int count, char** words) { return vgpu::bench::run(count > 1 ? words[1] : ""); }
