// The launch configuration between <<<>>> and the stub that launches.
#include <cstring>
#include <new>

#include "shim/cudart/state.h"

using vgpu::cudart::CallConfiguration;
using vgpu::cudart::kMaxNestedLaunches;

// Answers nonzero for a configuration that cannot be kept; the compiler's code then skips the launch.
VGPU_EXPORT unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t sharedBytes,
                                                 CUstream_st* stream) {
  auto& launches = vgpu::cudart::thread.launches;
  if (launches.count == kMaxNestedLaunches) return 1;
  CallConfiguration configuration{grid, block, sharedBytes, stream};
  std::memcpy(&launches.storage[launches.count * sizeof configuration], &configuration, sizeof configuration);
  ++launches.count;
  return 0;
}

VGPU_EXPORT cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* sharedBytes,
                                                   void* stream) {
  auto& launches = vgpu::cudart::thread.launches;
  if (launches.count == 0) return vgpu::cudart::record(cudaErrorMissingConfiguration);
  --launches.count;
  CallConfiguration configuration{};
  std::memcpy(&configuration, &launches.storage[launches.count * sizeof configuration], sizeof configuration);
  *grid = configuration.grid;
  *block = configuration.block;
  *sharedBytes = configuration.sharedBytes;
  *static_cast<cudaStream_t*>(stream) = configuration.stream;
  return cudaSuccess;
}
