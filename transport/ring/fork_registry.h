// ForkRegistry: tells channels that they find themselves in a forked child, where the session is not theirs.
// Guest process. The child's copy of a channel is lost from its first instruction on; its mappings are not
// there, its descriptors are closed.
#pragma once

namespace vgpu::transport {

class ForkSensitive {
 public:
  // Runs in the child, before fork returns there: no locks of other threads may be waited for.
  virtual void inForkedChild() = 0;

 protected:
  ForkSensitive();
  virtual ~ForkSensitive();
  ForkSensitive(const ForkSensitive&) = delete;
  ForkSensitive& operator=(const ForkSensitive&) = delete;

 private:
  friend struct ForkRegistry;
  ForkSensitive* next_ = nullptr;
};

}  // namespace vgpu::transport
