// The table against NVIDIA's exports, and the built libraries against the table. Needs no driver.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace {

using Names = std::set<std::string>;

enum Versions { Both, Only12, Only13 };

struct Row {
  const char* name;
  Versions versions;
  bool supported;
};

constexpr Row kRows[] = {
#define RUNTIME(name, versions) {#name, versions, true},
#define REFUSED(name, versions, reason) {#name, versions, false},
#include "shim/cudart/calls.inc"
};

constexpr const char* kDriverCalls[] = {
#define DRIVER(symbol) #symbol,
#include "shim/cudart/driver_calls.inc"
};

class OfVersion : public testing::TestWithParam<int> {
 protected:
  static bool has(const Row& row) {
    return row.versions == Both || row.versions == (GetParam() == 12 ? Only12 : Only13);
  }

  static std::string number() { return std::to_string(GetParam()); }

  static Names vendorNames() {
    std::ifstream file(VGPU_CUDART_FOLDER "/exports" + number() + ".txt");
    return {std::istream_iterator<std::string>(file), {}};
  }

  static void* library() {
    return dlopen((VGPU_GUEST_LIBRARIES "/libcudart.so." + number()).c_str(), RTLD_NOW);
  }
};

TEST_P(OfVersion, hasARowForEveryNameOfTheVendorsAndNoOther) {
  Names rows;
  for (const Row& row : kRows) {
    if (has(row)) EXPECT_TRUE(rows.insert(row.name).second) << row.name << " has two rows";
  }
  EXPECT_THAT(rows, testing::ContainerEq(vendorNames()));
}

TEST_P(OfVersion, supportsAtLeastTwoHundredAndFiftyCalls) {
  EXPECT_GE(std::ranges::count_if(kRows, [](const Row& row) { return has(row) && row.supported; }), 250);
}

TEST_P(OfVersion, exportsEveryRowUnderTheVendorsVersionNode) {
  void* runtime = library();
  ASSERT_NE(runtime, nullptr) << dlerror();
  std::string node = "libcudart.so." + number();
  for (const Row& row : kRows) {
    if (has(row)) EXPECT_NE(dlvsym(runtime, row.name, node.c_str()), nullptr) << row.name;
  }
}

TEST_P(OfVersion, refusesByNameOnceAndKeepsTheError) {
  void* runtime = library();
  ASSERT_NE(runtime, nullptr) << dlerror();
  auto create = reinterpret_cast<int (*)(void*, unsigned)>(dlsym(runtime, "cudaGraphCreate"));
  auto last = reinterpret_cast<int (*)()>(dlsym(runtime, "cudaGetLastError"));
  constexpr int kNotSupported = 801;
  testing::internal::CaptureStderr();
  EXPECT_EQ(create(nullptr, 0), kNotSupported);
  EXPECT_EQ(create(nullptr, 0), kNotSupported);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "vgpu: cudaGraphCreate is not supported: graphs are not implemented yet\n");
  EXPECT_EQ(last(), kNotSupported);
  EXPECT_EQ(last(), 0);
}

TEST_P(OfVersion, namesErrorsAsTheVendorDoes) {
  void* runtime = library();
  ASSERT_NE(runtime, nullptr) << dlerror();
  auto name = reinterpret_cast<const char* (*)(int)>(dlsym(runtime, "cudaGetErrorName"));
  auto text = reinterpret_cast<const char* (*)(int)>(dlsym(runtime, "cudaGetErrorString"));
  EXPECT_STREQ(name(700), "cudaErrorIllegalAddress");
  EXPECT_STREQ(text(700), "an illegal memory access was encountered");
  EXPECT_STREQ(name(123456), "unrecognized error code");
}

INSTANTIATE_TEST_SUITE_P(Runtime, OfVersion, testing::Values(12, 13), testing::PrintToStringParamName());

// A runtime call that is supported stands on driver calls that are.
TEST(DriverCalls, areAllOfferedByOurDriver) {
  const Names refused = {
#define UNSUPPORTED(symbol, reason) #symbol,
#include "shim/cuda/unsupported.inc"
  };
  for (const char* call : kDriverCalls) EXPECT_FALSE(refused.contains(call)) << call;
}

}  // namespace
