// The C entry of libvgpu-jit.so, which the driver opens with dlopen when a kernel must be compiled. No LLVM
// type crosses. Any thread, several at once. Strings and the blob of an answer belong to the library until
// vgpuJitRelease. The PTX text is untrusted: whatever it holds, the answer is an image or an error with a
// log.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

enum VgpuJitStatus {
  kVgpuJitOk = 0,
  kVgpuJitInvalidPtx = 1,   // CUDA_ERROR_INVALID_PTX: line and reason in the log
  kVgpuJitUnsupported = 2,  // CUDA_ERROR_NOT_SUPPORTED: the log names the instruction
  kVgpuJitNotFound = 3,     // no such entry
  kVgpuJitFailed = 4,       // the form that was forced cannot take the kernel, or an internal limit
};

enum { kVgpuJitVersion = 1 };

struct VgpuJitRequest {
  uint32_t version;  // kVgpuJitVersion
  uint32_t form;     // vgpu::kernel::Form: 0 auto, 1 loops, 2 fibers
  const char* ptx;
  size_t ptxBytes;
  const char* kernel;     // the entry's name
  uint32_t blockDim[3];   // 0, 0, 0: any
  uint32_t exactChecks;   // nonzero: every access asks HostServices::accessible
  uint32_t optimization;  // 0: the default; else 1 to 3 as -O
};

struct VgpuJitAnswer {
  uint32_t status;             // VgpuJitStatus
  const unsigned char* image;  // a kernel/image.h blob
  size_t imageBytes;
  const char* log;  // never null, zero-terminated
  void* handle;     // for vgpuJitRelease
};

typedef struct VgpuJitAnswer (*VgpuJitCompileFunction)(const struct VgpuJitRequest*);
typedef void (*VgpuJitReleaseFunction)(struct VgpuJitAnswer*);

__attribute__((visibility("default"))) struct VgpuJitAnswer vgpuJitCompile(
    const struct VgpuJitRequest* request);
__attribute__((visibility("default"))) void vgpuJitRelease(struct VgpuJitAnswer* answer);
}
