#include "cpu_driver/runtime/device_printf.h"

#include <gtest/gtest.h>

#include <cstring>

namespace vgpu::cpu {
namespace {

class Packed {
 public:
  template <class T>
  Packed& add(T value) {
    size_ = (size_ + sizeof(T) - 1) & ~(sizeof(T) - 1);
    std::memcpy(bytes_ + size_, &value, sizeof value);
    size_ += sizeof value;
    return *this;
  }
  const void* data() const { return bytes_; }

 private:
  alignas(8) char bytes_[512] = {};
  size_t size_ = 0;
};

std::string format(const char* text, const Packed& arguments, int expected) {
  std::string out;
  EXPECT_EQ(formatDevicePrintf(text, arguments.data(), &out), expected) << text;
  return out;
}

TEST(DevicePrintf, EachArgumentLiesAtAMultipleOfItsSize) {
  Packed arguments;
  arguments.add(7).add(2.5).add('x' + 0).add<long long>(-5).add("text");
  EXPECT_EQ(format("%d %.2f %c %lld %s\n", arguments, 5), "7 2.50 x -5 text\n");
}

TEST(DevicePrintf, WidthAndPrecisionMayBeArguments) {
  Packed arguments;
  arguments.add(6).add(42).add(2).add(1.0 / 3);
  EXPECT_EQ(format("[%*d][%.*f]", arguments, 4), "[    42][0.33]");
}

TEST(DevicePrintf, AHalfIntegerIsPromotedAndALongIsWide) {
  Packed arguments;
  arguments.add(-3).add<unsigned long>(~0ul).add<void*>(nullptr);
  EXPECT_EQ(format("%hd %lx %%", arguments, 2), "-3 ffffffffffffffff %");
}

TEST(DevicePrintf, AFormatThatIsNoneIsRefused) {
  Packed arguments;
  std::string out;
  EXPECT_EQ(formatDevicePrintf("%y", arguments.data(), &out), -1);
  EXPECT_EQ(formatDevicePrintf("tail %", arguments.data(), &out), -1);
}

}  // namespace
}  // namespace vgpu::cpu
