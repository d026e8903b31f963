#include <cstring>

#include "tests/conformance/conformance.h"

namespace vgpu::conformance {
namespace {

const Covers covers{"MapDevice",
                    "UnmapDevice",
                    "HostAlloc",
                    "HostFree",
                    "ManagedAlloc",
                    "HostRegister",
                    "HostUnregister",
                    "WriteHost",
                    "ReadHost",
                    "cuMemGetInfo_v2",
                    "cuMemCreate",
                    "cuMemRelease",
                    "cuMemMap",
                    "cuMemUnmap",
                    "SetAccess",
                    "cuMemGetAllocationGranularity",
                    "cuMemGetAllocationPropertiesFromHandle",
                    "cuMemAdvise_v2",
                    "cuMemPrefetchAsync_v2",
                    "cuMemGetAccess"};

TEST_F(Conformance, AllocatedMemoryIsCountedAndGivenBack) {
  size_t before = 0, during = 0, after = 0, total = 0;
  OK(cuMemGetInfo_v2(&before, &total));
  CUdeviceptr address;
  OK(cuMemAlloc_v2(&address, 64 << 20));
  OK(cuMemGetInfo_v2(&during, &total));
  EXPECT_LE(during + (64 << 20), before);
  OK(cuMemFree_v2(address));
  OK(cuMemGetInfo_v2(&after, &total));
  EXPECT_GT(after, during);
}

TEST_F(Conformance, ImpossibleAllocationsAreRefusedAtOnce) {
  CUdeviceptr address;
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemAlloc_v2(&address, 0));
  REFUSED(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc_v2(&address, size_t{1} << 45));
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(0x1234));
}

TEST_F(Conformance, PointersAreDescribed) {
  const DeviceWords data(100);
  CUdeviceptr base;
  size_t bytes;
  OK(cuMemGetAddressRange_v2(&base, &bytes, data.get() + 44));
  EXPECT_EQ(base, data.get());
  EXPECT_EQ(bytes, 400u);
  unsigned type = 0;
  OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, data.get()));
  EXPECT_EQ(type, unsigned{CU_MEMORYTYPE_DEVICE});
  int onStack = 0;
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                                          reinterpret_cast<CUdeviceptr>(&onStack)));
}

TEST_F(Conformance, PinnedMemoryIsSeenByBothSides) {
  RUNS_KERNELS();
  unsigned* host = nullptr;
  OK(cuMemHostAlloc(reinterpret_cast<void**>(&host), 4096, CU_MEMHOSTALLOC_DEVICEMAP));
  for (unsigned i = 0; i < 1024; ++i) host[i] = i;
  CUdeviceptr seen;
  OK(cuMemHostGetDevicePointer_v2(&seen, host, 0));
  addOne(seen, 1024);
  OK(cuCtxSynchronize());
  for (unsigned i = 0; i < 1024; ++i) ASSERT_EQ(host[i], i + 1);
  unsigned flags = 0;
  OK(cuMemHostGetFlags(&flags, host));
  EXPECT_TRUE(flags & CU_MEMHOSTALLOC_DEVICEMAP);
  OK(cuMemFreeHost(host));
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(host));
}

TEST_F(Conformance, RegisteredMemoryStaysWhereItIsAndIsCoherentAtSynchronisation) {
  RUNS_KERNELS();
  alignas(4096) static unsigned memory[2048];
  for (unsigned i = 0; i < 2048; ++i) memory[i] = 2 * i;
  OK(cuMemHostRegister_v2(memory, sizeof memory, CU_MEMHOSTREGISTER_DEVICEMAP));
  REFUSED(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister_v2(memory, sizeof memory, 0));
  CUdeviceptr seen;
  OK(cuMemHostGetDevicePointer_v2(&seen, memory, 0));
  addOne(seen, 2048);
  OK(cuCtxSynchronize());
  for (unsigned i = 0; i < 2048; ++i) ASSERT_EQ(memory[i], 2 * i + 1);
  OK(cuMemHostUnregister(memory));
  REFUSED(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(memory));
}

TEST_F(Conformance, ManagedMemoryHasOneAddress) {
  RUNS_KERNELS();
  CUdeviceptr address;
  OK(cuMemAllocManaged(&address, 8192, CU_MEM_ATTACH_GLOBAL));
  auto* host = reinterpret_cast<unsigned*>(address);
  for (unsigned i = 0; i < 2048; ++i) host[i] = 5;
  const CUmemLocation here{CU_MEM_LOCATION_TYPE_DEVICE, device_};
  EXPECT_EQ(cuMemAdvise_v2(address, 8192, CU_MEM_ADVISE_SET_READ_MOSTLY, here), CUDA_SUCCESS);
  int readMostly = 0, prefetched = 77, preferred = 77;
  OK(cuMemRangeGetAttribute(&readMostly, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, address, 8192));
  EXPECT_EQ(readMostly, 1);
  OK(cuMemPrefetchAsync_v2(address, 8192, here, 0, nullptr));
  OK(cuMemRangeGetAttribute(&prefetched, 4, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, address, 8192));
  EXPECT_EQ(prefetched, device_);
  OK(cuMemRangeGetAttribute(&preferred, 4, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, address, 8192));
  EXPECT_EQ(preferred, CU_DEVICE_INVALID);
  const CUmemLocation nowhere{CU_MEM_LOCATION_TYPE_DEVICE, 1000};
  REFUSED(CUDA_ERROR_INVALID_DEVICE,
          cuMemAdvise_v2(address, 8192, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, nowhere));
  addOne(address, 2048);
  OK(cuCtxSynchronize());
  for (unsigned i = 0; i < 2048; ++i) ASSERT_EQ(host[i], 6u);
  unsigned managed = 0;
  OK(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address));
  EXPECT_EQ(managed, 1u);
  OK(cuMemFree_v2(address));
}

CUmemAllocationProp onDevice(CUdevice device) {
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
  return properties;
}

TEST_F(Conformance, VirtualMemoryIsReservedMappedAndUsed) {
  const CUmemAllocationProp properties = onDevice(device_);
  size_t granularity = 0;
  OK(cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  CUdeviceptr range;
  OK(cuMemAddressReserve(&range, 4 * granularity, 0, 0, 0));
  CUmemGenericAllocationHandle memory;
  OK(cuMemCreate(&memory, granularity, &properties, 0));
  OK(cuMemMap(range + granularity, granularity, 0, memory, 0));
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, device_}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  OK(cuMemSetAccess(range + granularity, granularity, &access, 1));
  unsigned long long flags = 0;
  OK(cuMemGetAccess(&flags, &access.location, range + granularity));
  EXPECT_EQ(flags, static_cast<unsigned long long>(CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
  CUmemAllocationProp told{};
  OK(cuMemGetAllocationPropertiesFromHandle(&told, memory));
  EXPECT_EQ(told.location.id, device_);
  OK(cuMemsetD32_v2(range + granularity, 9, granularity / 4));
  EXPECT_EQ(words(range + granularity, 3), (std::vector<unsigned>{9, 9, 9}));
  OK(cuMemUnmap(range + granularity, granularity));
  OK(cuMemRelease(memory));
  OK(cuMemAddressFree(range, 4 * granularity));
}

TEST_F(Conformance, StreamOrderedAllocationIsReusedInOrder) {
  RUNS_KERNELS();
  CUstream stream;
  OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  for (int i = 0; i < 20; ++i) {
    CUdeviceptr data;
    OK(cuMemAllocAsync(&data, 4096, stream));
    OK(cuMemsetD32Async(data, static_cast<unsigned>(i), 1024, stream));
    addOne(data, 1024, stream);
    std::vector<unsigned> host(1024);
    OK(cuMemcpyDtoHAsync_v2(host.data(), data, 4096, stream));
    OK(cuStreamSynchronize(stream));
    EXPECT_EQ(host[1023], static_cast<unsigned>(i) + 1);
    OK(cuMemFreeAsync(data, stream));
  }
  CUmemoryPool pool;
  OK(cuDeviceGetDefaultMemPool(&pool, device_));
  OK(cuMemPoolTrimTo(pool, 0));
  OK(cuStreamSynchronize(stream));
  uint64_t used = 1;
  OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
  EXPECT_EQ(used, 0u);
  OK(cuStreamDestroy_v2(stream));
}

TEST_F(Conformance, PooledMemoryNamesItsPool) {
  CUmemPoolProps properties{};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device_};
  CUmemoryPool own, usual;
  OK(cuMemPoolCreate(&own, &properties));
  OK(cuDeviceGetDefaultMemPool(&usual, device_));
  CUdeviceptr fromOwn, fromUsual, plain;
  OK(cuMemAllocFromPoolAsync(&fromOwn, 4096, own, nullptr));
  OK(cuMemAllocAsync(&fromUsual, 4096, nullptr));
  OK(cuMemAlloc_v2(&plain, 4096));
  const auto poolOf = [](CUdeviceptr address) {
    CUmemoryPool pool = nullptr;
    EXPECT_EQ(cuPointerGetAttribute(&pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, address), CUDA_SUCCESS);
    return pool;
  };
  EXPECT_EQ(poolOf(fromOwn), own);
  EXPECT_EQ(poolOf(fromOwn + 4095), own);
  EXPECT_EQ(poolOf(fromUsual), usual);
  EXPECT_EQ(poolOf(plain), nullptr);
  // What is freed goes back where it came from.
  OK(cuMemFreeAsync(fromOwn, nullptr));
  OK(cuStreamSynchronize(nullptr));
  uint64_t used = 1;
  OK(cuMemPoolGetAttribute(own, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
  EXPECT_EQ(used, 0u);
  OK(cuMemFreeAsync(fromUsual, nullptr));
  OK(cuMemFree_v2(plain));
  OK(cuMemPoolDestroy(own));
}

}  // namespace
}  // namespace vgpu::conformance
