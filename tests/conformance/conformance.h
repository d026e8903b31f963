// Conformance: what a program sees of the driver API, the same on any libcuda (NVIDIA's, the CPU driver, or
// either of them through vgpu). Each test names the rows of the call table that it exercises; a test of its
// own fails when a row has none.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "protocol/abi/cuda.h"
#include "protocol/abi/errors.h"

namespace vgpu::conformance {

std::set<std::string>& coveredRows();

struct Covers {
  Covers(std::initializer_list<const char*> rows) {
    for (const char* row : rows) coveredRows().insert(row);
  }
};

inline testing::AssertionResult isSuccess(const char* expression, CUresult status) {
  if (status == CUDA_SUCCESS) return testing::AssertionSuccess();
  const char* name = protocol::errorName(status);
  return testing::AssertionFailure() << expression << " answered "
                                     << (name ? name : "a code that cuda.h does not have") << " (" << status
                                     << ")";
}

#define OK(call) ASSERT_PRED_FORMAT1(::vgpu::conformance::isSuccess, call)
#define REFUSED(expected, call) EXPECT_EQ(expected, call)

// First in a test that starts kernels. Where the CPU driver has no compiler beside it, the caller says so,
// and only what needs none is checked.
#define RUNS_KERNELS() \
  if (std::getenv("VGPU_CONFORMANCE_WITHOUT_KERNELS")) GTEST_SKIP() << "starts kernels"

// Kernels used by the tests, as text.
extern const char* const kKernels;

// A current context, and a module of kKernels.
class Conformance : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  CUfunction function(const char* name);
  // Runs `add_one`: adds 1 to each of `count` words at `data`.
  void addOne(CUdeviceptr data, unsigned count, CUstream stream = nullptr);
  std::vector<unsigned> words(CUdeviceptr data, size_t count);

  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  CUmodule module_ = nullptr;
};

// Device memory that goes with its scope.
class DeviceWords {
 public:
  explicit DeviceWords(size_t count) { EXPECT_EQ(cuMemAlloc_v2(&address_, count * 4), CUDA_SUCCESS); }
  ~DeviceWords() { EXPECT_EQ(cuMemFree_v2(address_), CUDA_SUCCESS); }
  DeviceWords(const DeviceWords&) = delete;
  DeviceWords& operator=(const DeviceWords&) = delete;
  CUdeviceptr get() const { return address_; }

 private:
  CUdeviceptr address_ = 0;
};

}  // namespace vgpu::conformance
