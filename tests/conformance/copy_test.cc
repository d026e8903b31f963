#include <cstring>
#include <numeric>

#include "tests/conformance/conformance.h"

namespace vgpu::conformance {
namespace {

const Covers covers{"CopyUpload",        "CopyDownload",       "CopyBox",           "CopyBoxDownload",
                    "cuMemcpyAsync",     "cuMemsetD8Async",    "cuMemsetD16Async",  "cuMemsetD32Async",
                    "cuMemsetD2D8Async", "cuMemsetD2D16Async", "cuMemsetD2D32Async"};

std::vector<unsigned> counting(size_t count) {
  std::vector<unsigned> words(count);
  std::iota(words.begin(), words.end(), 1u);
  return words;
}

TEST_F(Conformance, BytesComeBackAsTheyWent) {
  for (const size_t count :
       {size_t{1}, size_t{17}, size_t{1000}, size_t{65536}, size_t{65537}, size_t{3'000'001}}) {
    const auto host = counting(count);
    const DeviceWords data(count);
    OK(cuMemcpyHtoD_v2(data.get(), host.data(), count * 4));
    EXPECT_EQ(words(data.get(), count), host) << count;
  }
}

TEST_F(Conformance, CopiesWithinTheDeviceAreOrdered) {
  const auto host = counting(5000);
  const DeviceWords first(5000), second(5000);
  OK(cuMemcpyHtoD_v2(first.get(), host.data(), 20000));
  OK(cuMemcpyDtoD_v2(second.get(), first.get(), 20000));
  OK(cuMemsetD8_v2(first.get(), 0, 20000));
  OK(cuMemcpy(first.get() + 4, second.get(), 8));
  EXPECT_EQ(words(second.get(), 5000), host);
  EXPECT_EQ(words(first.get(), 4), (std::vector<unsigned>{0, 1, 2, 0}));
  OK(cuMemcpyAsync(first.get(), second.get(), 20000, nullptr));
  EXPECT_EQ(words(first.get(), 5000), host);
}

TEST_F(Conformance, CopiesOutsideAnAllocationAreRefusedAtOnce) {
  const DeviceWords data(16);
  unsigned host[32] = {};
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(data.get(), host, 128));
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH_v2(host, data.get() + 60, 8));
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(0, host, 8));
  OK(cuMemcpyHtoD_v2(data.get(), host, 0));
}

TEST_F(Conformance, FillsOfEachWidth) {
  const DeviceWords data(4);
  OK(cuMemsetD32_v2(data.get(), 0xaabbccdd, 4));
  OK(cuMemsetD16_v2(data.get(), 0x1122, 3));
  OK(cuMemsetD8_v2(data.get() + 15, 0x7f, 1));
  EXPECT_EQ(words(data.get(), 4), (std::vector<unsigned>{0x11221122, 0xaabb1122, 0xaabbccdd, 0x7fbbccdd}));
  OK(cuMemsetD8Async(data.get(), 1, 4, nullptr));
  OK(cuMemsetD16Async(data.get() + 4, 2, 2, nullptr));
  OK(cuMemsetD32Async(data.get() + 8, 3, 1, nullptr));
  EXPECT_EQ(words(data.get(), 3), (std::vector<unsigned>{0x01010101, 0x00020002, 3}));
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemsetD32_v2(data.get() + 1, 0, 1));
  REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemsetD32_v2(data.get(), 0, 5));
}

TEST_F(Conformance, FillsOfRectanglesLeaveTheRestAlone) {
  const DeviceWords data(16);
  OK(cuMemsetD32_v2(data.get(), 0, 16));
  OK(cuMemsetD2D32_v2(data.get(), 16, 5, 2, 3));
  OK(cuMemsetD2D16Async(data.get() + 48, 16, 7, 1, 1, nullptr));
  OK(cuMemsetD2D8Async(data.get() + 52, 16, 9, 1, 1, nullptr));
  OK(cuMemsetD2D32Async(data.get() + 56, 16, 11, 1, 1, nullptr));
  EXPECT_EQ(words(data.get(), 16), (std::vector<unsigned>{5, 5, 0, 0, 5, 5, 0, 0, 5, 5, 0, 0, 7, 9, 11, 0}));
}

TEST_F(Conformance, RectanglesTravelBothWays) {
  const auto host = counting(100);  // ten rows of ten
  CUdeviceptr data;
  size_t pitch;
  OK(cuMemAllocPitch_v2(&data, &pitch, 16, 4, 4));
  CUDA_MEMCPY2D in{};
  in.srcMemoryType = CU_MEMORYTYPE_HOST;
  in.srcHost = host.data();
  in.srcPitch = 40;
  in.srcXInBytes = 8;
  in.srcY = 3;
  in.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  in.dstDevice = data;
  in.dstPitch = pitch;
  in.WidthInBytes = 16;
  in.Height = 4;
  OK(cuMemcpy2D_v2(&in));
  unsigned back[4][8] = {};
  CUDA_MEMCPY2D out{};
  out.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  out.srcDevice = data;
  out.srcPitch = pitch;
  out.dstMemoryType = CU_MEMORYTYPE_HOST;
  out.dstHost = back;
  out.dstPitch = sizeof back[0];
  out.WidthInBytes = 16;
  out.Height = 4;
  OK(cuMemcpy2D_v2(&out));
  for (unsigned row = 0; row < 4; ++row) {
    for (unsigned column = 0; column < 4; ++column) EXPECT_EQ(back[row][column], (row + 3) * 10 + column + 3);
    EXPECT_EQ(back[row][4], 0u);
  }
  OK(cuMemFree_v2(data));
}

TEST_F(Conformance, BoxesTravelBothWays) {
  const auto host = counting(6 * 5 * 4);
  const DeviceWords data(6 * 5 * 4);
  CUDA_MEMCPY3D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = host.data();
  copy.srcPitch = 24;
  copy.srcHeight = 5;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = data.get();
  copy.dstPitch = 24;
  copy.dstHeight = 5;
  copy.WidthInBytes = 24;
  copy.Height = 5;
  copy.Depth = 4;
  OK(cuMemcpy3D_v2(&copy));
  EXPECT_EQ(words(data.get(), host.size()), host);
  const DeviceWords second(6 * 5 * 4);
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = data.get();
  copy.dstDevice = second.get();
  OK(cuMemcpy3DAsync_v2(&copy, nullptr));
  EXPECT_EQ(words(second.get(), host.size()), host);
}

}  // namespace
}  // namespace vgpu::conformance
