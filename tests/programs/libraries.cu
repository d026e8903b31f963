// Kernels in the executable, in two libraries that it links, and in a plugin that it loads while it runs: by
// name through its RUNPATH, unloaded, and again by absolute path.
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <unistd.h>

#include <string>

#include "tests/support/check.h"

extern "C" void libraryOneApply(int* data);
extern "C" void libraryTwoApply(int* data);
extern "C" int libraryTwoCompute();

static const int computedBeforeMain = libraryTwoCompute();

static __device__ int factor = 2;
static __global__ void apply(int* data) { data[threadIdx.x] = threadIdx.x * factor; }

static void applyPlugin(const std::string& path, int* data) {
  void* plugin = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  EXPECT(plugin != nullptr, "dlopen: %s", dlerror());
  const auto pluginApply = reinterpret_cast<void (*)(int*)>(dlsym(plugin, "pluginApply"));
  EXPECT(pluginApply != nullptr, "dlsym: %s", dlerror());
  pluginApply(data);
  CHECK_CUDA(cudaDeviceSynchronize());
  dlclose(plugin);
}

static std::string folderOfThisProgram() {
  char self[4096] = {};
  EXPECT(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "no /proc/self/exe");
  const std::string path = self;
  return path.substr(0, path.rfind('/'));
}

int main() {
  EXPECT(computedBeforeMain == 1000, "before main the library computed %d", computedBeforeMain);
  int *data, host[32];
  CHECK_CUDA(cudaMalloc(&data, sizeof(host)));
  apply<<<1, 32>>>(data);
  libraryOneApply(data);
  libraryTwoApply(data);
  applyPlugin("liblibraries_plugin.so", data);
  applyPlugin(folderOfThisProgram() + "/liblibraries_plugin.so", data);
  CHECK_CUDA(cudaMemcpy(host, data, sizeof(host), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 32; ++i)
    EXPECT(host[i] == i * 6 + 1000 - 14, "element %d is %d instead of %d", i, host[i], i * 6 + 986);
  return check::ok("libraries: two linked, one loaded twice");
}
