#include <unistd.h>

#include <cstring>
#include <numeric>

#include "cpu_driver/api/testing.h"

extern "C" void* vgpuCpuDriverHostAddress(CUdeviceptr, size_t);

namespace vgpu::cpu::testing {
namespace {

using Memory = ApiTest;

TEST_F(Memory, WhatIsCopiedInComesBack) {
  std::vector<int> in(100000);
  std::iota(in.begin(), in.end(), 5);
  const size_t bytes = in.size() * sizeof(int);
  const CUdeviceptr a = allocate(bytes), b = allocate(bytes);
  EXPECT_CU(CUDA_SUCCESS, cuMemcpyHtoD_v2(a, in.data(), bytes));
  EXPECT_CU(CUDA_SUCCESS, cuMemcpyDtoD_v2(b, a, bytes));
  EXPECT_EQ(read<int>(b, in.size()), in);
  EXPECT_CU(CUDA_SUCCESS, cuMemFree_v2(a));
  EXPECT_CU(CUDA_SUCCESS, cuMemFree_v2(b));
}

TEST_F(Memory, ALargeAllocationIsFilledAndReadBack) {
  constexpr size_t kBytes = 545'947'648;
  const CUdeviceptr memory = allocate(kBytes);
  ASSERT_NE(memory, 0u);
  EXPECT_CU(CUDA_SUCCESS, cuMemsetD32_v2(memory, 0xdeadbeef, kBytes / 4));
  EXPECT_EQ(read<uint32_t>(memory + kBytes - 8, 2), (std::vector<uint32_t>{0xdeadbeef, 0xdeadbeef}));
  EXPECT_CU(CUDA_SUCCESS, cuMemFree_v2(memory));
}

TEST_F(Memory, MoreThanTheLimitIsOutOfMemoryAndFreedMemoryComesBack) {
  size_t free = 0, total = 0, after = 0;
  EXPECT_CU(CUDA_SUCCESS, cuMemGetInfo_v2(&free, &total));
  EXPECT_EQ(total, size_t{1} << 30);
  CUdeviceptr memory = 0;
  EXPECT_CU(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc_v2(&memory, total + 1));
  EXPECT_CU(CUDA_SUCCESS, cuMemAlloc_v2(&memory, free));
  CUdeviceptr more = 0;
  EXPECT_CU(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc_v2(&more, 1));
  EXPECT_CU(CUDA_SUCCESS, cuMemFree_v2(memory));
  EXPECT_CU(CUDA_SUCCESS, cuMemGetInfo_v2(&after, &total));
  EXPECT_EQ(after, free);
}

TEST_F(Memory, AddressesThatAreNoneAreRefused) {
  const CUdeviceptr memory = allocate(4096);
  char byte = 0;
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(memory + 4096, &byte, 1));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(memory, std::vector<char>(4097).data(), 4097));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(0, &byte, 1));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(memory + 1));
  EXPECT_CU(CUDA_SUCCESS, cuMemFree_v2(0));
  EXPECT_CU(CUDA_SUCCESS, cuMemFree_v2(memory));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(memory));
  CUdeviceptr none = 0;
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemAlloc_v2(&none, 0));
}

TEST_F(Memory, APitchedBoxIsCopiedBothWays) {
  CUdeviceptr memory = 0;
  size_t pitch = 0;
  ASSERT_OK(cuMemAllocPitch_v2(&memory, &pitch, 100, 20, 4));
  EXPECT_GE(pitch, 100u);
  std::vector<char> in(100 * 20), out(100 * 20);
  std::iota(in.begin(), in.end(), char{0});
  CUDA_MEMCPY2D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = in.data();
  copy.srcPitch = 100;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = memory;
  copy.dstPitch = pitch;
  copy.WidthInBytes = 100;
  copy.Height = 20;
  EXPECT_CU(CUDA_SUCCESS, cuMemcpy2D_v2(&copy));
  CUDA_MEMCPY2D back{};
  back.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  back.srcDevice = memory;
  back.srcPitch = pitch;
  back.srcXInBytes = 10;
  back.srcY = 3;
  back.dstMemoryType = CU_MEMORYTYPE_HOST;
  back.dstHost = out.data();
  back.dstPitch = 50;
  back.WidthInBytes = 50;
  back.Height = 17;
  EXPECT_CU(CUDA_SUCCESS, cuMemcpy2D_v2(&back));
  for (size_t y = 0; y < 17; ++y) EXPECT_EQ(0, std::memcmp(&out[y * 50], &in[(y + 3) * 100 + 10], 50)) << y;
  back.Height = 18;
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(&back));
}

TEST_F(Memory, FillsWriteTheirElementsAndNothingElse) {
  const CUdeviceptr memory = allocate(256);
  EXPECT_CU(CUDA_SUCCESS, cuMemsetD8_v2(memory, 0x11, 256));
  EXPECT_CU(CUDA_SUCCESS, cuMemsetD2D16_v2(memory + 2, 64, 0xabcd, 3, 2));
  auto bytes = read<uint8_t>(memory, 256);
  for (size_t i = 0; i < 256; ++i) {
    const bool inside = i < 128 && i % 64 >= 2 && i % 64 < 8;
    EXPECT_EQ(bytes[i], inside ? (i % 2 ? 0xab : 0xcd) : 0x11) << i;
  }
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemsetD32_v2(memory + 2, 0, 1));
}

TEST_F(Memory, PinnedMemoryIsKnownAndMapped) {
  void* pinned = nullptr;
  ASSERT_OK(cuMemHostAlloc(&pinned, 5000, CU_MEMHOSTALLOC_DEVICEMAP));
  std::memset(pinned, 7, 5000);
  CUdeviceptr address = 0;
  EXPECT_CU(CUDA_SUCCESS, cuMemHostGetDevicePointer_v2(&address, pinned, 0));
  unsigned flags = 0, type = 0;
  EXPECT_CU(CUDA_SUCCESS, cuMemHostGetFlags(&flags, pinned));
  EXPECT_EQ(flags, unsigned{CU_MEMHOSTALLOC_DEVICEMAP});
  EXPECT_CU(CUDA_SUCCESS, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
  EXPECT_EQ(type, unsigned{CU_MEMORYTYPE_HOST});
  EXPECT_CU(CUDA_SUCCESS, cuMemFreeHost(pinned));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemHostGetFlags(&flags, pinned));
}

TEST_F(Memory, RegisteringTwiceOrUnregisteringNothingHasItsOwnErrors) {
  std::vector<char> own(10000);
  EXPECT_CU(CUDA_SUCCESS, cuMemHostRegister_v2(own.data(), own.size(), 0));
  EXPECT_CU(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister_v2(own.data() + 10, 10, 0));
  EXPECT_CU(CUDA_SUCCESS, cuMemHostUnregister(own.data()));
  EXPECT_CU(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(own.data()));
}

TEST_F(Memory, OnlyDeviceMemoryThatMayBeWrittenHasAHostAddress) {
  CUdeviceptr device = 0;
  ASSERT_EQ(cuMemAlloc_v2(&device, 10'000), CUDA_SUCCESS);
  EXPECT_EQ(vgpuCpuDriverHostAddress(device + 16, 10'000 - 16), reinterpret_cast<void*>(device + 16));
  EXPECT_EQ(vgpuCpuDriverHostAddress(device + 16, 10'000), nullptr);
  void* pinned = nullptr;
  ASSERT_EQ(cuMemAllocHost_v2(&pinned, 4096), CUDA_SUCCESS);
  EXPECT_EQ(vgpuCpuDriverHostAddress(reinterpret_cast<CUdeviceptr>(pinned), 16), nullptr);
  EXPECT_EQ(vgpuCpuDriverHostAddress(0x10, 16), nullptr);
  EXPECT_EQ(cuMemFreeHost(pinned), CUDA_SUCCESS);
  EXPECT_EQ(cuMemFree_v2(device), CUDA_SUCCESS);
  EXPECT_EQ(vgpuCpuDriverHostAddress(device, 16), nullptr);
}

TEST_F(Memory, VirtualMemoryLiesWhereItIsWantedAndCanBeShared) {
  constexpr size_t kBytes = 1 << 20;
  CUdeviceptr base = 0;
  ASSERT_OK(cuMemAddressReserve(&base, 4 * kBytes, 0, 0x7e90'0000'0000, 0));
  EXPECT_EQ(base, CUdeviceptr{0x7e90'0000'0000});
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  CUmemGenericAllocationHandle memory = 0, imported = 0;
  ASSERT_OK(cuMemCreate(&memory, kBytes, &properties, 0));
  int fd = -1;
  ASSERT_OK(cuMemExportToShareableHandle(&fd, memory, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  ASSERT_OK(cuMemImportFromShareableHandle(&imported, reinterpret_cast<void*>(intptr_t{fd}),
                                           CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
  ::close(fd);
  ASSERT_OK(cuMemMap(base, kBytes, 0, memory, 0));
  ASSERT_OK(cuMemMap(base + kBytes, kBytes, 0, imported, 0));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, kBytes, 0, imported, 0));
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  EXPECT_EQ(vgpuCpuDriverHostAddress(base, kBytes), nullptr);
  ASSERT_OK(cuMemSetAccess(base, 2 * kBytes, &access, 1));
  EXPECT_EQ(vgpuCpuDriverHostAddress(base, kBytes), reinterpret_cast<void*>(base));
  EXPECT_CU(CUDA_SUCCESS, cuMemRelease(memory));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemRelease(memory));
  // Both mappings show the same memory, and one copy spans them.
  EXPECT_CU(CUDA_SUCCESS, cuMemsetD32_v2(base, 42, kBytes / 4));
  EXPECT_EQ(read<uint32_t>(base + kBytes - 4, 2), (std::vector<uint32_t>{42, 42}));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(base, 4 * kBytes));
  EXPECT_CU(CUDA_SUCCESS, cuMemUnmap(base, 2 * kBytes));
  EXPECT_CU(CUDA_SUCCESS, cuMemRelease(imported));
  EXPECT_CU(CUDA_SUCCESS, cuMemAddressFree(base, 4 * kBytes));
}

TEST_F(Memory, VirtualMemoryIsChargedUntilItsLastMappingGoes) {
  size_t before = 0, during = 0, after = 0, total = 0;
  cuMemGetInfo_v2(&before, &total);
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemGenericAllocationHandle memory = 0;
  CUdeviceptr base = 0;
  ASSERT_OK(cuMemCreate(&memory, 1 << 20, &properties, 0));
  ASSERT_OK(cuMemAddressReserve(&base, 1 << 20, 0, 0, 0));
  ASSERT_OK(cuMemMap(base, 1 << 20, 0, memory, 0));
  ASSERT_OK(cuMemRelease(memory));
  cuMemGetInfo_v2(&during, &total);
  EXPECT_EQ(during, before - (1 << 20));
  ASSERT_OK(cuMemUnmap(base, 1 << 20));
  cuMemGetInfo_v2(&after, &total);
  EXPECT_EQ(after, before);
  ASSERT_OK(cuMemAddressFree(base, 1 << 20));
}

TEST_F(Memory, AsynchronousReleaseTakesEffectInTheStreamsOrder) {
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr memory = 0;
  ASSERT_OK(cuMemAllocAsync(&memory, 1 << 20, stream));
  ASSERT_OK(cuMemsetD32Async(memory, 9, 1 << 18, stream));
  std::vector<uint32_t> out(1 << 18);
  ASSERT_OK(cuMemcpyDtoHAsync_v2(out.data(), memory, 1 << 20, stream));
  ASSERT_OK(cuMemFreeAsync(memory, stream));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemFreeAsync(memory, stream));
  ASSERT_OK(cuStreamSynchronize(stream));
  EXPECT_EQ(out.back(), 9u);
  CUmemoryPool pool = nullptr;
  cuuint64_t used = 1, most = 0;
  ASSERT_OK(cuDeviceGetMemPool(&pool, 0));
  ASSERT_OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
  ASSERT_OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &most));
  EXPECT_EQ(used, 0u);
  EXPECT_GE(most, cuuint64_t{1} << 20);
  ASSERT_OK(cuStreamDestroy_v2(stream));
}

TEST_F(Memory, PointerAttributesOfUnknownMemoryAreZeroInTheListAndAnErrorAlone) {
  int own = 0;
  const auto address = reinterpret_cast<CUdeviceptr>(&own);
  unsigned type = 77;
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE,
            cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
  CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE};
  void* data[] = {&type};
  EXPECT_CU(CUDA_SUCCESS, cuPointerGetAttributes(1, attributes, data, address));
  EXPECT_EQ(type, 0u);
}

TEST_F(Memory, ManagedMemoryIsSeenByBothSides) {
  CUdeviceptr memory = 0;
  ASSERT_OK(cuMemAllocManaged(&memory, 4096, CU_MEM_ATTACH_GLOBAL));
  *reinterpret_cast<int*>(memory) = 17;
  EXPECT_EQ(read<int>(memory, 1)[0], 17);
  int last = 0;
  ASSERT_OK(cuMemPrefetchAsync(memory, 4096, 0, nullptr));
  EXPECT_CU(CUDA_SUCCESS,
            cuMemRangeGetAttribute(&last, 4, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, memory, 4096));
  EXPECT_EQ(last, 0);
  ASSERT_OK(cuMemFree_v2(memory));
}

TEST_F(Memory, ArraysKeepTheirRows) {
  CUDA_ARRAY3D_DESCRIPTOR description{};
  description.Width = 10;
  description.Height = 4;
  description.Depth = 3;
  description.Format = CU_AD_FORMAT_FLOAT;
  description.NumChannels = 1;
  CUarray array = nullptr;
  ASSERT_OK(cuArray3DCreate_v2(&array, &description));
  std::vector<float> in(120), out(120);
  std::iota(in.begin(), in.end(), 0.5f);
  CUDA_MEMCPY3D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = in.data();
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.dstArray = array;
  copy.WidthInBytes = 40;
  copy.Height = 4;
  copy.Depth = 3;
  EXPECT_CU(CUDA_SUCCESS, cuMemcpy3D_v2(&copy));
  CUDA_MEMCPY3D back{};
  back.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  back.srcArray = array;
  back.dstMemoryType = CU_MEMORYTYPE_HOST;
  back.dstHost = out.data();
  back.WidthInBytes = 40;
  back.Height = 4;
  back.Depth = 3;
  EXPECT_CU(CUDA_SUCCESS, cuMemcpy3D_v2(&back));
  EXPECT_EQ(in, out);
  back.srcZ = 1;
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D_v2(&back));
  EXPECT_CU(CUDA_SUCCESS, cuArrayDestroy(array));
  EXPECT_CU(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(array));
}

}  // namespace
}  // namespace vgpu::cpu::testing
