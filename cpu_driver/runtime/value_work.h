// A stream's writes to and waits for a value in memory. A wait that does not hold yet is looked at again by a
// thread of the driver, at first often, then ever more rarely; nobody tells when memory changes.
#pragma once

#include <cstdint>

#include "cpu_driver/runtime/work.h"

namespace vgpu::cpu {

class WriteValueWork final : public Work {
 public:
  WriteValueWork(uintptr_t address, uint64_t value, unsigned bytes)
      : address_(address), value_(value), bytes_(bytes) {}
  Step run(Execution& execution, Stream& stream) override;

 private:
  uintptr_t address_;
  uint64_t value_;
  unsigned bytes_;
};

class WaitValueWork final : public Work {
 public:
  WaitValueWork(uintptr_t address, uint64_t value, unsigned bytes, CUstreamWaitValue_flags condition)
      : address_(address), value_(value), bytes_(bytes), condition_(condition) {}
  Step run(Execution& execution, Stream& stream) override;

 private:
  bool holds(bool* faulted) const;

  uintptr_t address_;
  uint64_t value_;
  unsigned bytes_;
  CUstreamWaitValue_flags condition_;
  unsigned looks_ = 0;
};

}  // namespace vgpu::cpu
