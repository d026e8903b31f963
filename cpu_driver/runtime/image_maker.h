// Makes a kernel's image: from the cache on disk, else by libvgpu-jit.so, which is opened from this library's
// own folder when something must be compiled for the first time. The compile thread calls it. The image
// belongs to the caller.
#pragma once

#include <memory>

#include "cpu_driver/kernel/digest.h"
#include "cpu_driver/runtime/kernel_code.h"

namespace vgpu::cpu {

// `module`: the digest of the module's text.
Failure makeImage(const KernelCode& code, const kernel::Digest& module, kernel::Dim3 block,
                  std::shared_ptr<kernel::LoadedImage>* image);

}  // namespace vgpu::cpu
