#include "tests/conformance/conformance.h"

namespace vgpu::conformance {
namespace {

const Covers covers{"ThreadContext",
                    "ThreadEnded",
                    "PrimaryRetain",
                    "PrimaryRelease",
                    "PrimaryReset",
                    "ContextCreate",
                    "cuCtxDestroy_v2",
                    "cuCtxSynchronize",
                    "cuCtxGetLimit",
                    "cuCtxSetLimit",
                    "cuCtxGetCacheConfig",
                    "cuCtxSetCacheConfig",
                    "cuCtxGetSharedMemConfig",
                    "cuCtxSetSharedMemConfig",
                    "cuCtxResetPersistingL2Cache",
                    "cuDevicePrimaryCtxSetFlags_v2",
                    "cuCtxSetFlags",
                    "cuDeviceGetP2PAttribute",
                    "cuDeviceGetTexture1DLinearMaxWidth",
                    "cuDeviceGetExecAffinitySupport"};

TEST_F(Conformance, DeviceDescribesItself) {
  char name[256] = {};
  OK(cuDeviceGetName(name, sizeof name, device_));
  EXPECT_NE(name[0], 0);
  int major = 0, warp = 0, threads = 0;
  OK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device_));
  OK(cuDeviceGetAttribute(&warp, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device_));
  OK(cuDeviceGetAttribute(&threads, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, device_));
  EXPECT_GE(major, 7);
  EXPECT_EQ(warp, 32);
  EXPECT_EQ(threads, 1024);
  size_t bytes = 0;
  OK(cuDeviceTotalMem_v2(&bytes, device_));
  EXPECT_GT(bytes, size_t{1} << 28);
  char bus[32];
  OK(cuDeviceGetPCIBusId(bus, sizeof bus, device_));
  CUdevice same = -1;
  OK(cuDeviceGetByPCIBusId(&same, bus));
  EXPECT_EQ(same, device_);
  REFUSED(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&same, 4096));
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(nullptr, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device_));
}

TEST_F(Conformance, DeviceQueriesThatTheDriverAnswers) {
  size_t elements = 0;
  OK(cuDeviceGetTexture1DLinearMaxWidth(&elements, CU_AD_FORMAT_FLOAT, 1, device_));
  EXPECT_GT(elements, 0u);
  int affinity = -1;
  OK(cuDeviceGetExecAffinitySupport(&affinity, CU_EXEC_AFFINITY_TYPE_SM_COUNT, device_));
  int value;
  REFUSED(CUDA_ERROR_INVALID_DEVICE,
          cuDeviceGetP2PAttribute(&value, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, device_, device_));
}

TEST_F(Conformance, StackOfContextsIsAStack) {
  CUcontext other = nullptr, current = nullptr;
  OK(cuCtxCreate_v2(&other, 0, device_));
  OK(cuCtxGetCurrent(&current));
  EXPECT_EQ(current, other);
  OK(cuCtxPopCurrent_v2(&current));
  EXPECT_EQ(current, other);
  OK(cuCtxGetCurrent(&current));
  EXPECT_EQ(current, context_);
  OK(cuCtxDestroy_v2(other));
  REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuCtxPushCurrent_v2(reinterpret_cast<CUcontext>(uintptr_t{0x1234})));
}

TEST_F(Conformance, WithoutAContextWorkIsRefused) {
  CUcontext popped;
  OK(cuCtxPopCurrent_v2(&popped));
  CUdeviceptr address;
  REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc_v2(&address, 16));
  REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
  OK(cuCtxPushCurrent_v2(popped));
}

TEST_F(Conformance, PrimaryContextLivesWhileItIsRetained) {
  unsigned flags = 0;
  int active = -1;
  CUcontext primary = nullptr, again = nullptr;
  OK(cuDevicePrimaryCtxRetain(&primary, device_));
  OK(cuDevicePrimaryCtxRetain(&again, device_));
  EXPECT_EQ(primary, again);
  OK(cuDevicePrimaryCtxGetState(device_, &flags, &active));
  EXPECT_EQ(active, 1);
  OK(cuDevicePrimaryCtxSetFlags_v2(device_, CU_CTX_SCHED_YIELD));
  OK(cuDevicePrimaryCtxRelease_v2(device_));
  OK(cuDevicePrimaryCtxRelease_v2(device_));
  OK(cuDevicePrimaryCtxGetState(device_, &flags, &active));
  EXPECT_EQ(active, 0);
  OK(cuDevicePrimaryCtxReset_v2(device_));
  OK(cuDevicePrimaryCtxSetFlags_v2(device_, 0));
}

TEST_F(Conformance, LimitsAndPreferences) {
  size_t fifo = 0;
  OK(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 2 << 20));
  OK(cuCtxGetLimit(&fifo, CU_LIMIT_PRINTF_FIFO_SIZE));
  EXPECT_GE(fifo, size_t{2} << 20);
  CUfunc_cache cache;
  OK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
  OK(cuCtxGetCacheConfig(&cache));
  CUsharedconfig banks;
  OK(cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE));
  OK(cuCtxGetSharedMemConfig(&banks));
  int persisting = 0;
  OK(cuDeviceGetAttribute(&persisting, CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE, device_));
  EXPECT_EQ(cuCtxResetPersistingL2Cache(), persisting ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(cuCtxSetFlags(CU_CTX_SCHED_AUTO), CUDA_SUCCESS);
  OK(cuCtxSynchronize());
}

TEST_F(Conformance, EntryPointsAreFoundByTheVersionAskedFor) {
  void* newest = nullptr;
  void* oldest = nullptr;
  CUdriverProcAddressQueryResult result;
  OK(cuGetProcAddress_v2("cuMemAlloc", &newest, 12000, 0, &result));
  EXPECT_EQ(newest, reinterpret_cast<void*>(&cuMemAlloc_v2));
  // Drivers differ in whether the call itself answers NOT_FOUND; all say it here.
  cuGetProcAddress_v2("cuNoSuchFunction", &oldest, 12000, 0, &result);
  EXPECT_EQ(oldest, nullptr);
  EXPECT_EQ(result, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  OK(cuGetProcAddress_v2("cuStreamSynchronize", &newest, 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM,
                         &result));
  EXPECT_EQ(newest, reinterpret_cast<void*>(&cuStreamSynchronize_ptsz));
}

}  // namespace
}  // namespace vgpu::conformance
