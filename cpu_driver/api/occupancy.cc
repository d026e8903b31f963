#include "cpu_driver/runtime/occupancy.h"

#include <algorithm>

#include "cpu_driver/api/entry.h"
#include "cpu_driver/api/find_function.h"
#include "cpu_driver/runtime/configuration.h"

using namespace vgpu::cpu;

namespace {

template <class Body>
CUresult withResolved(CUfunction handle, Body&& body) {
  return withContext([&](Context& context) -> CUresult {
    CUresult error = CUDA_SUCCESS;
    Function* function = findFunction(context, handle, &error);
    if (!function) return error;
    const Failure& failed = function->code().resolve();
    if (failed.code == CUDA_SUCCESS) return body(*function);
    function->code().explain(context.output(), failed);
    return failed.code;
  });
}

CUresult potential(int* grid, int* block, CUfunction handle, CUoccupancyB2DSize sharedOf, size_t shared,
                   int limit) {
  return withResolved(handle, [&](Function& function) {
    if (!grid || !block || limit < 0) return CUDA_ERROR_INVALID_VALUE;
    int most = static_cast<int>(function.code().mostThreads());
    if (limit != 0) most = std::min(most, limit);
    unsigned bestThreads = 0, bestBlocks = 0;
    int bestSize = 0;
    for (int size = (most + 31) / 32 * 32; size > 0; size -= 32) {
      const int threads = std::min(size, most);
      const size_t bytes = sharedOf ? sharedOf(threads) : shared;
      const unsigned blocks = residentBlocks(function.code(), static_cast<uint64_t>(threads), bytes);
      if (blocks * static_cast<unsigned>(threads) <= bestThreads) continue;
      bestThreads = blocks * static_cast<unsigned>(threads);
      bestBlocks = blocks;
      bestSize = threads;
    }
    *block = bestSize;
    *grid = static_cast<int>(bestBlocks * configuration().multiprocessors);
    return CUDA_SUCCESS;
  });
}

}  // namespace

extern "C" {

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction handle, int threads,
                                                              size_t shared, unsigned flags) {
  return withResolved(handle, [&](Function& function) {
    if (!blocks || threads <= 0 || flags > CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
      return CUDA_ERROR_INVALID_VALUE;
    *blocks = static_cast<int>(residentBlocks(function.code(), static_cast<uint64_t>(threads), shared));
    return CUDA_SUCCESS;
  });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int threads,
                                                     size_t shared) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, shared,
                                                              CU_OCCUPANCY_DEFAULT);
}

CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction function,
                                          CUoccupancyB2DSize sharedOf, size_t shared, int limit) {
  return potential(grid, block, function, sharedOf, shared, limit);
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, CUfunction function,
                                                   CUoccupancyB2DSize sharedOf, size_t shared, int limit,
                                                   unsigned flags) {
  if (flags > CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE) return CUDA_ERROR_INVALID_VALUE;
  return potential(grid, block, function, sharedOf, shared, limit);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, CUfunction handle, int blocks, int threads) {
  return withResolved(handle, [&](Function& function) {
    if (!bytes || blocks <= 0 || threads <= 0) return CUDA_ERROR_INVALID_VALUE;
    *bytes =
        dynamicSharedBytesFor(function.code(), static_cast<unsigned>(blocks), static_cast<uint64_t>(threads));
    return CUDA_SUCCESS;
  });
}

// Clusters of blocks: CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH says 0.
CUresult cuOccupancyMaxPotentialClusterSize(int*, CUfunction handle, const CUlaunchConfig*) {
  return withResolved(handle, [](Function&) { return CUDA_ERROR_NOT_SUPPORTED; });
}
CUresult cuOccupancyMaxActiveClusters(int*, CUfunction handle, const CUlaunchConfig*) {
  return withResolved(handle, [](Function&) { return CUDA_ERROR_NOT_SUPPORTED; });
}

}  // extern "C"
