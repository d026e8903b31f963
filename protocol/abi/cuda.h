// The only include of the vendor's driver header. __CUDA_API_VERSION_INTERNAL keeps its names what they are
// in the exported symbol table (cuMemAlloc_v2 and cuMemAlloc are two symbols), instead of macros that rename
// one to another.
#pragma once

#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL
#endif
#include <cuda.h>
