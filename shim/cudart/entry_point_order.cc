// The driver's functions by name: the _ptsz variants hand out the driver's per-thread ones. Compiled twice,
// as copy.cc is.
#include "shim/cudart/default_stream.h"
#include "shim/cudart/entry_point.h"

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

namespace {

unsigned long long chosen(unsigned long long flags) {
  return kPerThread && flags == cudaEnableDefault ? cudaEnablePerThreadDefaultStream : flags;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDriverEntryPoint(const char* symbol, void** function, unsigned long long flags,
                                    cudaDriverEntryPointQueryResult* status) {
  return driverEntryPoint(symbol, function, CUDART_VERSION, chosen(flags), status);
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned int version,
                                             unsigned long long flags,
                                             cudaDriverEntryPointQueryResult* status) {
  return driverEntryPoint(symbol, function, static_cast<int>(version), chosen(flags), status);
}

}  // extern "C"
