// Kernels that reach where they must not, each in a process of its own: `crash KIND` ends with code 0 when
// the driver reports the illegal address; `crash` alone runs every kind.
#include <cuda_runtime.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "tests/support/check.h"

extern char** environ;

constexpr size_t kBytes = 2 << 20;

__global__ void store(int* where, long long offset) { where[offset + threadIdx.x] = 1; }
__global__ void load(const int* where, int* out) { out[threadIdx.x] = where[threadIdx.x]; }

static int reach(const std::string& kind) {
  int* memory;
  CHECK_CUDA(cudaMalloc(&memory, kBytes));
  if (kind == "null-store") store<<<1, 32>>>(nullptr, 0);
  if (kind == "null-load") load<<<1, 32>>>(nullptr, memory);
  if (kind == "past-the-end") store<<<4, 32>>>(memory, kBytes / sizeof(int));
  if (kind == "before-the-beginning") store<<<1, 32>>>(memory, -(1ll << 40));
  if (kind == "after-free") {
    CHECK_CUDA(cudaFree(memory));
    store<<<1, 32>>>(memory, 0);
  }
  if (kind == "host-memory") {
    void* host = std::malloc(kBytes);
    store<<<1, 32>>>(static_cast<int*>(host), 0);
  }
  if (kind == "program-variable") load<<<1, 32>>>(reinterpret_cast<const int*>(&environ), memory);
  const cudaError_t result = cudaDeviceSynchronize();
  EXPECT(result == cudaErrorIllegalAddress, "%s: %s", kind.c_str(), cudaGetErrorName(result));
  return check::ok("crash %s: %s", kind.c_str(), cudaGetErrorName(result));
}

static void reachInAnotherProcess(const char* kind) {
  char self[4096] = {};
  EXPECT(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "no /proc/self/exe");
  char* arguments[] = {self, const_cast<char*>(kind), nullptr};
  pid_t child = 0;
  EXPECT(posix_spawn(&child, self, nullptr, nullptr, arguments, environ) == 0, "no child");
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "crash %s ended with status %#x", kind, status);
}

int main(int count, char** arguments) {
  if (count > 1) return reach(arguments[1]);
  const bool direct = std::getenv("VGPU_DIRECT");  // the driver in this process: its memory is reachable
  for (const char* kind : {"null-store", "null-load", "past-the-end", "before-the-beginning", "after-free",
                           "host-memory", "program-variable"}) {
    const std::string name = kind;
    if (!direct || (name != "host-memory" && name != "program-variable")) reachInAnotherProcess(kind);
  }
  return check::ok("crash: every kind is reported");
}
