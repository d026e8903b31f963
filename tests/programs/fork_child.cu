// A program that forks: before it used CUDA both sides may use it; afterwards the child has no session, its
// calls fail, and nothing it does disturbs the parent; a child that executes a program starts afresh.
#include <cuda_runtime.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"

extern char** environ;

__global__ void set(int* where, int value) { *where = value; }

static void computes(int value) {
  int *device, host = 0;
  CHECK_CUDA(cudaMalloc(&device, sizeof(int)));
  set<<<1, 1>>>(device, value);
  CHECK_CUDA(cudaMemcpy(&host, device, sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT(host == value, "%d instead of %d", host, value);
  CHECK_CUDA(cudaFree(device));
}

static void expectExit(pid_t child, const char* what) {
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with status %#x", what, status);
}

int main(int count, char**) {
  if (count > 1) {
    computes(3);
    return check::ok("fork_child: a program of its own");
  }
  std::fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    computes(1);
    _exit(0);
  }
  computes(2);
  expectExit(child, "the child forked before any CUDA");

  int *device, host = 0;
  CHECK_CUDA(cudaMalloc(&device, sizeof(int)));
  set<<<1, 1>>>(device, 77);
  child = fork();
  if (child == 0) {
    void* memory = nullptr;
    const cudaError_t allocated = cudaMalloc(&memory, 16), freed = cudaFree(device),
                      waited = cudaDeviceSynchronize();
    _exit(allocated != cudaSuccess && freed != cudaSuccess && waited != cudaSuccess ? 0 : 1);
  }
  expectExit(child, "the child forked after CUDA");
  CHECK_CUDA(cudaMemcpy(&host, device, sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT(host == 77, "the parent's memory holds %d instead of 77", host);
  computes(4);

  char self[4096] = {}, argument[] = "again";
  EXPECT(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "no /proc/self/exe");
  char* arguments[] = {self, argument, nullptr};
  EXPECT(posix_spawn(&child, self, nullptr, nullptr, arguments, environ) == 0, "no child");
  expectExit(child, "the child that executes a program");
  return check::ok("fork_child: before, after, execute");
}
