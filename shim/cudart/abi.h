// The vendor's driver and runtime headers, of CUDA 12.9 or 13.0 as the target says; every file here includes
// this first. Driver names stay those of the symbol table. Files compiled a second time with VGPU_PER_THREAD
// define the _ptds and _ptsz variants of the runtime's names, which the runtime header's own macros put in
// their place.
#pragma once

#include "protocol/abi/cuda.h"
#undef __CUDA_API_VERSION_INTERNAL
#ifdef VGPU_PER_THREAD
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#endif

#pragma GCC visibility push(default)
#include <cuda_runtime_api.h>
#pragma GCC visibility pop

#if CUDART_VERSION < 13000  // version12.cc names both the older and the newer of these
#undef cudaGetDeviceProperties
#undef cudaStreamGetCaptureInfo
#endif

// Marks an export that the vendor's header does not declare.
#define VGPU_EXPORT extern "C" __attribute__((visibility("default")))
