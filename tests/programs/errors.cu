// Errors of all kinds: what is refused at once and by which call, what is remembered, what an asynchronous
// failure leaves behind. Prints each code, so that two ways of running can be compared line by line. A
// failure that stays with its context runs in a process of its own: `errors KIND`.
#include <cuda_runtime.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cassert>
#include <cstring>
#include <string>

#include "tests/support/check.h"

extern char** environ;

__global__ void nothing() {}
__global__ void store(int* where) { *where = 1; }
__global__ void trap() { __trap(); }
__global__ void failAssertion(int value) { assert(value == 0); }
__global__ void usesShared() {
  extern __shared__ int shared[];
  shared[threadIdx.x] = 0;
}
__global__ void __launch_bounds__(64) bounded(int* out) { out[threadIdx.x] = 1; }

static void expect(const char* what, cudaError_t got, cudaError_t wanted) {
  std::printf("%s: %s\n", what, cudaGetErrorName(got));
  EXPECT(got == wanted, "%s: %s instead of %s", what, cudaGetErrorName(got), cudaGetErrorName(wanted));
}

// The last error is the thread's, reading it clears it, a success in between does not.
static void remembersLastError() {
  expect("nothing failed yet", cudaPeekAtLastError(), cudaSuccess);
  expect("free of a host address", cudaFree(&environ), cudaErrorInvalidValue);
  expect("a success after it", cudaDeviceSynchronize(), cudaSuccess);
  expect("peek", cudaPeekAtLastError(), cudaErrorInvalidValue);
  expect("get", cudaGetLastError(), cudaErrorInvalidValue);
  expect("get again", cudaGetLastError(), cudaSuccess);
}

static void refusesArguments() {
  void* memory = nullptr;
  expect("free of null", cudaFree(nullptr), cudaSuccess);
  expect("allocation beyond the device", cudaMalloc(&memory, size_t(1) << 60), cudaErrorMemoryAllocation);
  CHECK_CUDA(cudaMalloc(&memory, 4096));
  char host[16] = {};
  expect("copy of a bad kind", cudaMemcpy(memory, host, 16, cudaMemcpyKind(99)),
         cudaErrorInvalidMemcpyDirection);
  expect("copy to null", cudaMemcpy(nullptr, host, 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  expect("copy of nothing", cudaMemcpy(memory, host, 0, cudaMemcpyHostToDevice), cudaSuccess);
  expect("copy past the end", cudaMemcpy(memory, memory, size_t(1) << 40, cudaMemcpyDeviceToDevice),
         cudaErrorInvalidValue);
  expect("memset past the end", cudaMemset(memory, 0, size_t(1) << 40), cudaErrorInvalidValue);
  expect("2D copy wider than its pitch", cudaMemcpy2D(memory, 8, host, 4, 16, 1, cudaMemcpyHostToDevice),
         cudaErrorInvalidPitchValue);
  CHECK_CUDA(cudaFree(memory));
  expect("free twice", cudaFree(memory), cudaErrorInvalidValue);
  expect("free of host memory", cudaFreeHost(host), cudaErrorInvalidValue);
  expect("device out of range", cudaSetDevice(99), cudaErrorInvalidDevice);
  int value = 0;
  expect("attribute out of range", cudaDeviceGetAttribute(&value, cudaDeviceAttr(100000), 0),
         cudaErrorInvalidValue);
  expect("symbol never defined", cudaMemcpyToSymbol(&host, host, 4), cudaErrorInvalidSymbol);
  cudaGetLastError();
}

static void refusesLaunches() {
  int* memory = nullptr;
  CHECK_CUDA(cudaMalloc(&memory, 4096));
  nothing<<<1, 2048>>>();
  expect("2048 threads a block", cudaGetLastError(), cudaErrorInvalidConfiguration);
  nothing<<<0, 32>>>();
  expect("no block", cudaGetLastError(), cudaErrorInvalidConfiguration);
  nothing<<<dim3(1, 70000), 32>>>();
  expect("70000 blocks in y", cudaGetLastError(), cudaErrorInvalidConfiguration);
  nothing<<<1, dim3(1, 1, 65)>>>();
  expect("65 threads in z", cudaGetLastError(), cudaErrorInvalidConfiguration);
  usesShared<<<1, 32, 100 * 1024>>>();
  expect("100 KiB of shared memory without asking", cudaGetLastError(), cudaErrorInvalidValue);
  expect("more shared memory than there is",
         cudaFuncSetAttribute(usesShared, cudaFuncAttributeMaxDynamicSharedMemorySize, 1 << 20),
         cudaErrorInvalidValue);
  cudaGetLastError();
  bounded<<<1, 128>>>(memory);
  const cudaError_t beyondBounds = cudaGetLastError();
  EXPECT(beyondBounds != cudaSuccess, "128 threads of a kernel with launch bounds of 64 are accepted");
  expect("a function that is no kernel",
         cudaLaunchKernel(reinterpret_cast<void*>(&refusesArguments), dim3(1), dim3(1), nullptr, 0, nullptr),
         cudaErrorInvalidDeviceFunction);
  cudaGetLastError();
  expect("all of them leave the context alone", cudaDeviceSynchronize(), cudaSuccess);
  CHECK_CUDA(cudaFree(memory));
}

// What the device lacks is refused by the call itself, with a line on standard error that names it.
static void refusesWhatTheDeviceLacks() {
  int clusters = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&clusters, cudaDevAttrClusterLaunch, 0));
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = 2;
  attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  cudaLaunchConfig_t configuration{};
  configuration.gridDim = dim3(4);
  configuration.blockDim = dim3(32);
  configuration.attrs = &attribute;
  configuration.numAttrs = 1;
  if (!clusters) expect("a cluster", cudaLaunchKernelEx(&configuration, nothing), cudaErrorNotSupported);
  attribute.val.clusterDim.x = 1;
  expect("a cluster of one block", cudaLaunchKernelEx(&configuration, nothing), cudaSuccess);
  cudaGetLastError();
}

static void refusesEvents() {
  cudaEvent_t begin, end, untimed;
  CHECK_CUDA(cudaEventCreate(&begin));
  CHECK_CUDA(cudaEventCreate(&end));
  CHECK_CUDA(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
  float milliseconds = 0;
  expect("time between events never recorded", cudaEventElapsedTime(&milliseconds, begin, end),
         cudaErrorInvalidResourceHandle);
  CHECK_CUDA(cudaEventRecord(begin));
  CHECK_CUDA(cudaEventRecord(untimed));
  CHECK_CUDA(cudaDeviceSynchronize());
  expect("time to an event without timing", cudaEventElapsedTime(&milliseconds, begin, untimed),
         cudaErrorInvalidResourceHandle);
  expect("query of an event never recorded", cudaEventQuery(end), cudaSuccess);
  cudaGetLastError();
}

// A reset ends every stream and event; the next call begins anew.
static void forgetsHandlesOfAReset() {
  cudaStream_t stream;
  cudaEvent_t event;
  CHECK_CUDA(cudaStreamCreate(&stream));
  CHECK_CUDA(cudaEventCreate(&event));
  CHECK_CUDA(cudaDeviceReset());
  CHECK_CUDA(cudaFree(nullptr));
  expect("wait for a stream from before a reset", cudaStreamSynchronize(stream),
         cudaErrorInvalidResourceHandle);
  nothing<<<1, 1, 0, stream>>>();
  expect("launch in it", cudaGetLastError(), cudaErrorInvalidResourceHandle);
  expect("query of an event from before a reset", cudaEventQuery(event), cudaErrorInvalidResourceHandle);
  cudaGetLastError();
  nothing<<<1, 1>>>();
  expect("launch after a reset", cudaDeviceSynchronize(), cudaSuccess);
}

// One asynchronous failure: the launch succeeds, the wait reports it, and it stays.
static int failAsynchronously(const std::string& kind) {
  int* memory = nullptr;
  CHECK_CUDA(cudaMalloc(&memory, 4096));
  cudaError_t wanted = cudaErrorIllegalAddress;
  if (kind == "null") store<<<1, 1>>>(nullptr);
  if (kind == "wild") store<<<1, 1>>>(reinterpret_cast<int*>(0x10));
  if (kind == "trap") {
    trap<<<1, 1>>>();
    wanted = cudaErrorLaunchFailure;
  }
  if (kind == "assert") {
    failAssertion<<<1, 1>>>(1);
    wanted = cudaErrorAssert;
  }
  expect("wait", cudaDeviceSynchronize(), wanted);
  expect("peek", cudaPeekAtLastError(), wanted);
  expect("get", cudaGetLastError(), wanted);
  void* more = nullptr;
  expect("allocation", cudaMalloc(&more, 16), wanted);
  expect("copy", cudaMemcpy(memory, &more, 4, cudaMemcpyHostToDevice), wanted);
  nothing<<<1, 1>>>();
  expect("launch", cudaGetLastError(), wanted);
  expect("second wait", cudaDeviceSynchronize(), wanted);
  return 0;
}

static void failsInAnotherProcess(const char* kind) {
  std::printf("-- %s\n", kind);
  std::fflush(stdout);
  char self[4096] = {};
  EXPECT(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "no /proc/self/exe");
  char* arguments[] = {self, const_cast<char*>(kind), nullptr};
  pid_t child = 0;
  EXPECT(posix_spawn(&child, self, nullptr, nullptr, arguments, environ) == 0, "no child");
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "errors %s ended with status %#x", kind, status);
}

int main(int count, char** arguments) {
  if (count > 1) return failAsynchronously(arguments[1]);
  remembersLastError();
  refusesArguments();
  refusesLaunches();
  refusesWhatTheDeviceLacks();
  refusesEvents();
  for (const char* kind : {"null", "wild", "trap", "assert"}) failsInAnotherProcess(kind);
  expect("this process", cudaDeviceSynchronize(), cudaSuccess);
  forgetsHandlesOfAReset();
  return check::ok("errors: refused calls, last errors, sticky errors");
}
