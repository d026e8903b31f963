// Every way to launch: <<<>>>, cudaLaunchKernel, cudaLaunchKernelExC, cooperative; and through the driver
// with kernelParams, with one packed buffer, with attributes. Parameters of all alignments, and 4 KB of them.
#include <cuda.h>
#include <cuda_runtime.h>

#include <cstring>

#include "tests/support/check.h"

struct alignas(16) Vector {
  double x, y;
};

struct Mixed {
  char tag;
  short half;
  float values[3];
};

struct Large {
  int values[1000];
};

__global__ void sumAll(char a, double b, short c, Vector d, Mixed e, int* out, bool f, float3 g) {
  if (threadIdx.x == 0 && blockIdx.x == 0) {
    out[0] = a + int(b) + c + int(d.x + d.y) + e.tag + e.half + int(e.values[0] + e.values[1] + e.values[2]) +
             f + int(g.x + g.y + g.z);
  }
  atomicAdd(&out[1], 1);
}

__global__ void sumLarge(Large large, int* out) {
  int sum = 0;
  for (int i = threadIdx.x; i < 1000; i += blockDim.x) sum += large.values[i];
  atomicAdd(out, sum);
}

template <typename T>
__global__ void templated(T* out, T value) {
  out[threadIdx.x] = value + T(threadIdx.x);
}

constexpr int kSum = 1 + 2 + 3 + (4 + 5) + 6 + 7 + (8 + 9 + 10) + 1 + (11 + 12 + 13);

static int* out;

static void expectSum(const char* form, int threads) {
  int host[2];
  CHECK_CUDA(cudaMemcpy(host, out, sizeof(host), cudaMemcpyDeviceToHost));
  EXPECT(host[0] == kSum, "%s: the parameters sum to %d instead of %d", form, host[0], kSum);
  EXPECT(host[1] == threads, "%s: %d threads ran instead of %d", form, host[1], threads);
  CHECK_CUDA(cudaMemset(out, 0, 2 * sizeof(int)));
}

// The parameters in one buffer, each where cuFuncGetParamInfo says.
static void launchesPacked(CUfunction function, void** arguments) {
  char buffer[256] = {};
  size_t bytes = 0;
  const size_t sizes[] = {1, 8, 2, sizeof(Vector), sizeof(Mixed), 8, 1, sizeof(float3)};
  for (size_t i = 0; i < 8; ++i) {
    size_t offset = 0, size = 0;
    CHECK_DRIVER(cuFuncGetParamInfo(function, i, &offset, &size));
    EXPECT(size == sizes[i], "parameter %zu has %zu bytes instead of %zu", i, size, sizes[i]);
    std::memcpy(buffer + offset, arguments[i], size);
    bytes = offset + size;
  }
  size_t offset = 0, size = 0;
  EXPECT(cuFuncGetParamInfo(function, 8, &offset, &size) == CUDA_ERROR_INVALID_VALUE,
         "there is a ninth parameter");
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                   CU_LAUNCH_PARAM_END};
  CHECK_DRIVER(cuLaunchKernel(function, 2, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra));
  expectSum("packed", 64);
}

int main() {
  CHECK_CUDA(cudaMalloc(&out, 64 * sizeof(int)));
  CHECK_CUDA(cudaMemset(out, 0, 64 * sizeof(int)));
  char a = 1;
  double b = 2;
  short c = 3;
  Vector d{4, 5};
  Mixed e{6, 7, {8, 9, 10}};
  bool f = true;
  float3 g{11, 12, 13};
  void* arguments[] = {&a, &b, &c, &d, &e, &out, &f, &g};

  sumAll<<<dim3(2, 2), dim3(8, 2, 2)>>>(a, b, c, d, e, out, f, g);
  CHECK_CUDA(cudaGetLastError());
  expectSum("<<<>>>", 128);
  CHECK_CUDA(cudaLaunchKernel(sumAll, dim3(3), dim3(32), arguments, 0, nullptr));
  expectSum("cudaLaunchKernel", 96);
  CHECK_CUDA(cudaLaunchCooperativeKernel(sumAll, dim3(1), dim3(32), arguments, 0, nullptr));
  expectSum("cudaLaunchCooperativeKernel", 32);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(2);
  config.blockDim = dim3(16);
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  config.attrs = &attribute;
  config.numAttrs = 1;
  CHECK_CUDA(cudaLaunchKernelExC(&config, reinterpret_cast<void*>(sumAll), arguments));
  expectSum("cudaLaunchKernelExC", 32);

  cudaFunction_t function;
  CHECK_CUDA(cudaGetFuncBySymbol(&function, reinterpret_cast<void*>(sumAll)));
  CHECK_DRIVER(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr));
  expectSum("cuLaunchKernel", 32);
  launchesPacked(function, arguments);
  CHECK_DRIVER(cuLaunchCooperativeKernel(function, 2, 1, 1, 32, 1, 1, 0, nullptr, arguments));
  expectSum("cuLaunchCooperativeKernel", 64);
  CUlaunchConfig driverConfig{};
  driverConfig.gridDimX = 5;
  driverConfig.gridDimY = driverConfig.gridDimZ = driverConfig.blockDimY = driverConfig.blockDimZ = 1;
  driverConfig.blockDimX = 64;
  CUlaunchAttribute priority{};
  priority.id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
  priority.value.priority = 0;
  driverConfig.attrs = &priority;
  driverConfig.numAttrs = 1;
  CHECK_DRIVER(cuLaunchKernelEx(&driverConfig, function, arguments, nullptr));
  expectSum("cuLaunchKernelEx", 320);

  Large large;
  int wanted = 0, got = 0;
  for (int i = 0; i < 1000; ++i) wanted += large.values[i] = 3 * i - 500;
  sumLarge<<<1, 128>>>(large, out);
  CHECK_CUDA(cudaMemcpy(&got, out, sizeof(got), cudaMemcpyDeviceToHost));
  EXPECT(got == wanted, "4000 bytes of parameters sum to %d instead of %d", got, wanted);
  templated<double><<<1, 4>>>(reinterpret_cast<double*>(out), 0.5);
  double doubles[4];
  CHECK_CUDA(cudaMemcpy(doubles, out, sizeof(doubles), cudaMemcpyDeviceToHost));
  EXPECT(doubles[0] == 0.5 && doubles[3] == 3.5, "the templated kernel gave %g and %g", doubles[0],
         doubles[3]);
  return check::ok("launch_forms: nine forms");
}
