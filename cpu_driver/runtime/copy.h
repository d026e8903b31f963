// Copies and fills: boxes of bytes between pitched layouts, as work of a stream. Large rows are written past
// the cache. Whoever submits has checked device ranges; a host range that is not there ends in
// CUDA_ERROR_ILLEGAL_ADDRESS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu_driver/runtime/work.h"

namespace vgpu::cpu {

struct Layout {
  std::byte* base = nullptr;
  size_t pitchBytes = 0;  // from row to row
  size_t sliceBytes = 0;  // from slice to slice
};

struct CopyPlan {
  Layout destination, source;
  size_t widthBytes = 0, height = 1, depth = 1;

  size_t bytes() const { return widthBytes * height * depth; }
};

// Rows that follow each other without gaps on both sides become one.
void runCopy(CopyPlan plan);

struct FillPlan {
  Layout destination;
  uint32_t value = 0;
  unsigned elementBytes = 1;  // 1, 2 or 4
  size_t widthElements = 0, height = 1;
};

void runFill(const FillPlan& plan);

class CopyWork final : public Work {
 public:
  explicit CopyWork(const CopyPlan& plan) : plan_(plan) {}
  // With the source's bytes taken along.
  CopyWork(const CopyPlan& plan, std::vector<std::byte> staged);
  Step run(Execution& execution, Stream& stream) override;

 private:
  CopyPlan plan_;
  std::vector<std::byte> staged_;
};

class FillWork final : public Work {
 public:
  explicit FillWork(const FillPlan& plan) : plan_(plan) {}
  Step run(Execution& execution, Stream& stream) override;

 private:
  FillPlan plan_;
};

}  // namespace vgpu::cpu
