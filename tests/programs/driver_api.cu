// A program of the driver API alone, with its kernels as PTX text: contexts, modules, their globals,
// launches, streams, the error log of invalid PTX, and the virtual-memory calls. Links libcuda and no
// runtime.
#include <cuda.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/check.h"

static const char* const kPtx = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .global .align 4 .u32 scale = 3;
.visible .const .align 4 .u32 offsets[4] = {10, 20, 30, 40};

.visible .entry combine(.param .u64 out, .param .u64 in, .param .u32 count)
{
  .reg .pred %p<2>;
  .reg .b32 %r<12>;
  .reg .b64 %rd<12>;
  ld.param.u64 %rd1, [out];
  ld.param.u64 %rd2, [in];
  ld.param.u32 %r1, [count];
  cvta.to.global.u64 %rd1, %rd1;
  cvta.to.global.u64 %rd2, %rd2;
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r5, %r1;
  @%p1 bra DONE;
  mul.wide.u32 %rd3, %r5, 4;
  add.s64 %rd4, %rd2, %rd3;
  ld.global.u32 %r6, [%rd4];
  ld.global.u32 %r7, [scale];
  and.b32 %r8, %r5, 3;
  mul.wide.u32 %rd5, %r8, 4;
  mov.u64 %rd6, offsets;
  add.s64 %rd7, %rd6, %rd5;
  ld.const.u32 %r9, [%rd7];
  mad.lo.u32 %r10, %r6, %r7, %r9;
  add.s64 %rd8, %rd1, %rd3;
  st.global.u32 [%rd8], %r10;
DONE:
  ret;
}
)";

static void expect(const char* what, CUresult got, CUresult wanted) {
  const char *gotName = nullptr, *wantedName = nullptr;
  cuGetErrorName(got, &gotName);
  cuGetErrorName(wanted, &wantedName);
  EXPECT(got == wanted, "%s: %s instead of %s", what, gotName, wantedName);
}

static void combines(CUmodule module, CUstream stream) {
  constexpr unsigned kCount = 1000;
  CUfunction function;
  CHECK_DRIVER(cuModuleGetFunction(&function, module, "combine"));
  CUdeviceptr in, out, scale;
  size_t scaleBytes = 0;
  CHECK_DRIVER(cuModuleGetGlobal(&scale, &scaleBytes, module, "scale"));
  EXPECT(scaleBytes == 4, "scale has %zu bytes", scaleBytes);
  const unsigned seven = 7;
  CHECK_DRIVER(cuMemcpyHtoD(scale, &seven, 4));
  CHECK_DRIVER(cuMemAlloc(&in, kCount * 4));
  CHECK_DRIVER(cuMemAlloc(&out, kCount * 4));
  std::vector<unsigned> host(kCount);
  for (unsigned i = 0; i < kCount; ++i) host[i] = i;
  CHECK_DRIVER(cuMemcpyHtoDAsync(in, host.data(), kCount * 4, stream));
  unsigned count = kCount;
  void* arguments[] = {&out, &in, &count};
  CHECK_DRIVER(cuLaunchKernel(function, (kCount + 63) / 64, 1, 1, 64, 1, 1, 0, stream, arguments, nullptr));
  CHECK_DRIVER(cuMemcpyDtoHAsync(host.data(), out, kCount * 4, stream));
  CHECK_DRIVER(cuStreamSynchronize(stream));
  for (unsigned i = 0; i < kCount; ++i) {
    const unsigned wanted = 7 * i + 10 * (i % 4 + 1);
    EXPECT(host[i] == wanted, "element %u is %u instead of %u", i, host[i], wanted);
  }
  CHECK_DRIVER(cuMemFree(in));
  CHECK_DRIVER(cuMemFree(out));
}

static void explainsInvalidPtx() {
  std::string bad = kPtx;
  bad.replace(bad.find("mad.lo.u32"), 10, "mad.no.u32");
  char log[4096] = {};
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, reinterpret_cast<void*>(sizeof(log))};
  CUmodule module;
  expect("invalid PTX", cuModuleLoadDataEx(&module, bad.c_str(), 2, options, values), CUDA_ERROR_INVALID_PTX);
  EXPECT(std::strstr(log, "line") != nullptr, "the error log does not name the line: %s", log);
}

static void placesMemory(CUdevice device) {
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
  size_t granularity = 0;
  CHECK_DRIVER(cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  const size_t bytes = granularity;
  CUdeviceptr range;
  CUmemGenericAllocationHandle memory[2];
  CHECK_DRIVER(cuMemAddressReserve(&range, 2 * bytes, 0, 0, 0));
  CUmemAccessDesc access{properties.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  for (int i = 0; i < 2; ++i) {
    CHECK_DRIVER(cuMemCreate(&memory[i], bytes, &properties, 0));
    CHECK_DRIVER(cuMemMap(range + i * bytes, bytes, 0, memory[i], 0));
  }
  CHECK_DRIVER(cuMemSetAccess(range, 2 * bytes, &access, 1));
  CHECK_DRIVER(cuMemsetD32(range, 0xabcd1234, 2 * bytes / 4));
  std::vector<unsigned> host(2 * bytes / 4);
  CHECK_DRIVER(cuMemcpyDtoH(host.data(), range, 2 * bytes));
  for (const unsigned word : host) EXPECT(word == 0xabcd1234, "a mapped word is %#x", word);
  expect("a second mapping at one place", cuMemMap(range + bytes, bytes, 0, memory[0], 0),
         CUDA_ERROR_INVALID_VALUE);
  CHECK_DRIVER(cuMemUnmap(range, bytes));
  expect("freeing a range that is partly mapped", cuMemAddressFree(range, 2 * bytes),
         CUDA_ERROR_INVALID_VALUE);
  CHECK_DRIVER(cuMemMap(range, bytes, 0, memory[0], 0));
  CHECK_DRIVER(cuMemUnmap(range, 2 * bytes));
  for (const CUmemGenericAllocationHandle handle : memory) CHECK_DRIVER(cuMemRelease(handle));
  CHECK_DRIVER(cuMemAddressFree(range, 2 * bytes));
}

static void keepsContexts(CUdevice device) {
  CUcontext primary, current = nullptr, popped = nullptr;
  CHECK_DRIVER(cuDevicePrimaryCtxRetain(&primary, device));
  expect("no context is current", cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_DRIVER(cuCtxPushCurrent(primary));
  CHECK_DRIVER(cuCtxGetCurrent(&current));
  EXPECT(current == primary, "the pushed context is not current");
  CHECK_DRIVER(cuCtxPopCurrent(&popped));
  EXPECT(popped == primary, "another context was popped");
  CHECK_DRIVER(cuCtxGetCurrent(&current));
  EXPECT(current == nullptr, "a context stays current");
  expect("pop of nothing", cuCtxPopCurrent(&popped), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_DRIVER(cuCtxSetCurrent(primary));
}

int main() {
  CUdeviceptr none;
  expect("a call before cuInit", cuMemAlloc(&none, 16), CUDA_ERROR_NOT_INITIALIZED);
  CHECK_DRIVER(cuInit(0));
  int devices = 0, version = 0, major = 0;
  CUdevice device;
  CHECK_DRIVER(cuDeviceGetCount(&devices));
  EXPECT(devices >= 1, "no device");
  CHECK_DRIVER(cuDeviceGet(&device, 0));
  char name[128] = {};
  CHECK_DRIVER(cuDeviceGetName(name, sizeof(name), device));
  CHECK_DRIVER(cuDriverGetVersion(&version));
  EXPECT(version >= 12000, "driver version %d", version);
  CHECK_DRIVER(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
  EXPECT(major >= 7, "compute capability %d.x", major);
  keepsContexts(device);

  CUmodule module;
  CUstream stream;
  CUfunction missing;
  CHECK_DRIVER(cuModuleLoadData(&module, kPtx));
  CHECK_DRIVER(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  expect("a function that is not there", cuModuleGetFunction(&missing, module, "absent"),
         CUDA_ERROR_NOT_FOUND);
  combines(module, stream);
  CHECK_DRIVER(cuStreamDestroy(stream));
  CHECK_DRIVER(cuModuleUnload(module));
  explainsInvalidPtx();
  placesMemory(device);
  CHECK_DRIVER(cuDevicePrimaryCtxRelease(device));
  return check::ok("driver_api: %s", name);
}
