#include "shim/cuda/occupancy.h"

#include <algorithm>
#include <tuple>

#include "shim/cuda/device.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/session/shared_state.h"

namespace vgpu::shim {
namespace {

using Question = std::tuple<const Function*, int, size_t, unsigned>;
constinit SharedState<std::map<Question, int>> answers;

CUresult enterFunction(Submission& submission, CUfunction value, Function*& function) {
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  function = submission.session->functions.find(value);
  if (!function) function = submission.session->kernels.find(value);
  return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult maxActiveBlocks(int* blocks, CUfunction value, int threads, size_t sharedBytes, unsigned flags) {
  Submission submission;
  Function* function;
  if (const CUresult status = enterFunction(submission, value, function); status != CUDA_SUCCESS)
    return status;
  if (!blocks || threads <= 0 || flags & ~unsigned{CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE})
    return CUDA_ERROR_INVALID_VALUE;
  return activeBlocks(submission, *function, threads, sharedBytes, flags, *blocks);
}

// The largest occupancy, and the largest block that reaches it (cuOccupancyMaxPotentialBlockSize).
CUresult potentialBlockSize(int* gridSize, int* blockSize, CUfunction value, CUoccupancyB2DSize sharedOf,
                            size_t sharedBytes, int blockLimit, unsigned flags) {
  Submission submission;
  Function* function;
  if (const CUresult status = enterFunction(submission, value, function); status != CUDA_SUCCESS)
    return status;
  if (!gridSize || !blockSize || blockLimit < 0) return CUDA_ERROR_INVALID_VALUE;
  const protocol::DeviceInfo& device =
      submission.session->devices()[static_cast<size_t>(submission.context->device)];
  int largest = std::min(deviceAttribute(device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
                         function->info.attributes[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK]);
  if (blockLimit > 0) largest = std::min(largest, blockLimit);
  const int warp = std::max(1, deviceAttribute(device, CU_DEVICE_ATTRIBUTE_WARP_SIZE));
  int bestThreads = 0, bestBlocks = 0;
  for (int threads = (largest + warp - 1) / warp * warp; threads > 0; threads -= warp) {
    const int block = std::min(threads, largest);
    int blocks = 0;
    const CUresult status =
        activeBlocks(submission, *function, block, sharedOf ? sharedOf(block) : sharedBytes, flags, blocks);
    if (status != CUDA_SUCCESS) return status;
    if (blocks * block <= bestBlocks * bestThreads) continue;
    bestThreads = block;
    bestBlocks = blocks;
    if (bestThreads * bestBlocks >=
        deviceAttribute(device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR))
      break;
  }
  *blockSize = bestThreads;
  *gridSize = bestBlocks * deviceAttribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult activeBlocks(const Submission& submission, Function& function, int threads, size_t sharedBytes,
                      unsigned flags, int& blocks) {
  const Question question{&function, threads, sharedBytes, flags};
  {
    const auto known = answers.lock();
    if (const auto entry = known->find(question); entry != known->end()) {
      blocks = entry->second;
      return CUDA_SUCCESS;
    }
  }
  std::array<std::byte, 64> space;
  Encoder arguments(space);
  arguments.put(function.handle.bits());
  arguments.put(threads);
  arguments.put<uint64_t>(sharedBytes);
  arguments.put(flags);
  int32_t answer = 0;
  const Answer reply = call(submission, protocol::call::cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags,
                            arguments.bytes(), std::as_writable_bytes(std::span(&answer, 1)));
  if (reply.status != CUDA_SUCCESS) return reply.status;
  if (reply.payloadBytes != sizeof answer) return CUDA_ERROR_UNKNOWN;
  blocks = answer;
  (*answers.lock())[question] = answer;
  return CUDA_SUCCESS;
}

void forgetOccupancy(const Function& function) {
  std::erase_if(*answers.lock(), [&](const auto& entry) { return std::get<0>(entry.first) == &function; });
}

}  // namespace vgpu::shim

using namespace vgpu::shim;

VGPU_EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function,
                                                                 int threads, size_t sharedBytes) {
  return maxActiveBlocks(blocks, function, threads, sharedBytes, 0);
}
VGPU_EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function,
                                                                          int threads, size_t sharedBytes,
                                                                          unsigned flags) {
  return maxActiveBlocks(blocks, function, threads, sharedBytes, flags);
}
VGPU_EXPORT CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction function,
                                                      CUoccupancyB2DSize sharedOf, size_t sharedBytes,
                                                      int limit) {
  return potentialBlockSize(grid, block, function, sharedOf, sharedBytes, limit, 0);
}
VGPU_EXPORT CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, CUfunction function,
                                                               CUoccupancyB2DSize sharedOf,
                                                               size_t sharedBytes, int limit,
                                                               unsigned flags) {
  return potentialBlockSize(grid, block, function, sharedOf, sharedBytes, limit, flags);
}
