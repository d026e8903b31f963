// Kernel launches. What the native call refuses at once is refused here; the rest is one posted record.
#include "shim/cuda/capture.h"
#include "shim/cuda/coherence.h"
#include "shim/cuda/device.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/occupancy.h"
#include "shim/cuda/refuse.h"

namespace vgpu::shim {
namespace {

using protocol::messages::Launch;
using protocol::messages::LaunchAttribute;

constexpr size_t kMaxAttributes = 16;

// Arguments that lie side by side on the caller's stack are apart here: the compiler would load two, just
// stored one by one, as a vector, which the processor cannot take from its store buffer (10 ns of 45 a
// launch).
struct LaunchRequest {
  CUfunction function = nullptr;
  unsigned grid[3] = {}, block[3] = {};
  CUstream stream = nullptr;
  unsigned sharedBytes = 0, attributeCount = 0;
  void** parameters = nullptr;
  const CUlaunchAttribute* attributes = nullptr;
  void** extra = nullptr;
  bool perThread = false, cooperative = false;
};

// A function, or a kernel that stands for its function in any context.
Function* findLaunchable(Session& session, CUfunction value) {
  if (Function* function = session.functions.find(value)) return function;
  return session.kernels.find(value);
}

CUresult checkLimits(const Submission& submission, const LaunchRequest& request, const Function& function) {
  const protocol::DeviceInfo& device =
      submission.session->devices()[static_cast<size_t>(submission.context->device)];
  const auto limit = [&](CUdevice_attribute attribute) {
    return static_cast<unsigned>(deviceAttribute(device, attribute));
  };
  constexpr CUdevice_attribute kGrid[] = {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X,
                                          CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y,
                                          CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z};
  constexpr CUdevice_attribute kBlock[] = {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X,
                                           CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y,
                                           CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z};
  for (int i = 0; i < 3; ++i) {
    if (request.grid[i] == 0 || request.grid[i] > limit(kGrid[i])) return CUDA_ERROR_INVALID_VALUE;
    if (request.block[i] == 0 || request.block[i] > limit(kBlock[i])) return CUDA_ERROR_INVALID_VALUE;
  }
  const uint64_t threads = uint64_t{request.block[0]} * request.block[1] * request.block[2];
  if (threads > limit(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)) return CUDA_ERROR_INVALID_VALUE;
  const int ofFunction = function.info.attributes[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK];
  if (ofFunction > 0 && threads > static_cast<uint64_t>(ofFunction))
    return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  const auto dynamicLimit =
      static_cast<unsigned>(function.dynamicSharedLimit.load(std::memory_order_relaxed));
  if (request.sharedBytes > dynamicLimit) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

// Natively a device without clusters refuses them at the launch, too.
CUresult checkAttributes(const Submission& submission, const LaunchRequest& request) {
  if (request.attributeCount > kMaxAttributes) return CUDA_ERROR_INVALID_VALUE;
  const protocol::DeviceInfo& device =
      submission.session->devices()[static_cast<size_t>(submission.context->device)];
  for (unsigned i = 0; i < request.attributeCount; ++i) {
    const CUlaunchAttribute& attribute = request.attributes[i];
    if (attribute.id != CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) continue;
    const auto& cluster = attribute.value.clusterDim;
    const bool several = cluster.x > 1 || cluster.y > 1 || cluster.z > 1;
    if (several && deviceAttribute(device, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH) == 0)
      return refuse("a launch with a cluster dimension", "thread block clusters");
  }
  return CUDA_SUCCESS;
}

CUresult checkCooperative(const Submission& submission, const LaunchRequest& request, Function& function) {
  int blocks = 0;
  const unsigned threads = request.block[0] * request.block[1] * request.block[2];
  const CUresult status =
      activeBlocks(submission, function, static_cast<int>(threads), request.sharedBytes, 0, blocks);
  if (status != CUDA_SUCCESS) return status;
  const protocol::DeviceInfo& device =
      submission.session->devices()[static_cast<size_t>(submission.context->device)];
  const auto resident =
      static_cast<uint64_t>(blocks) *
      static_cast<uint64_t>(deviceAttribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
  const uint64_t wanted = uint64_t{request.grid[0]} * request.grid[1] * request.grid[2];
  return wanted > resident ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

// The packed block of the `extra` form; INVALID_VALUE unless it is the documented list.
CUresult readExtra(void** extra, Bytes& packed) {
  const void* buffer = nullptr;
  const size_t* sizeBytes = nullptr;
  for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER) {
      buffer = extra[1];
    } else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE) {
      sizeBytes = static_cast<const size_t*>(extra[1]);
    } else {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  if (!sizeBytes || (!buffer && *sizeBytes)) return CUDA_ERROR_INVALID_VALUE;
  packed = {static_cast<const std::byte*>(buffer), *sizeBytes};
  return CUDA_SUCCESS;
}

// Nearly every parameter is a word or a pointer; a call for each would cost as much as the rest of a launch.
void copyParameter(std::byte* into, const void* from, size_t sizeBytes) {
  switch (sizeBytes) {
    case 4:
      std::memcpy(into, from, 4);
      return;
    case 8:
      std::memcpy(into, from, 8);
      return;
    default:
      std::memcpy(into, from, sizeBytes);
  }
}

void packParameters(const Function& function, void** values, std::byte* into) {
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    copyParameter(into + function.parameters[i].offset, values[i], function.parameters[i].sizeBytes);
  }
}

CUresult checkParameters(const LaunchRequest& request, const Function& function, Bytes& packed) {
  if (request.parameters && request.extra) return CUDA_ERROR_INVALID_VALUE;
  if (request.extra) {
    if (const CUresult status = readExtra(request.extra, packed); status != CUDA_SUCCESS) return status;
    return packed.size() < function.info.parameterBytes ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  }
  if (!request.parameters && !function.parameters.empty()) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

size_t packAttributes(const LaunchRequest& request, LaunchAttribute* into) {
  size_t count = 0;
  for (unsigned i = 0; i < request.attributeCount; ++i) {
    const CUlaunchAttribute& attribute = request.attributes[i];
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_IGNORE || attribute.id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
      continue;
    into[count] = {.id = static_cast<uint32_t>(attribute.id), .unused = 0, .value = {}};
    static_assert(sizeof attribute.value <= sizeof into->value);
    std::memcpy(into[count++].value, &attribute.value, sizeof attribute.value);
  }
  return count;
}

// Everything before the parameters.
struct Prefix {
  Launch launch;
  LaunchAttribute attributes[kMaxAttributes];
};

CUresult sendAttached(const Submission& submission, const Prefix& prefix, size_t prefixBytes, Bytes block,
                      uint64_t& sequence) {
  const Bytes head = asBytes(prefix).first(prefixBytes);
  return postWithData(submission, protocol::call::Launch, head, block, &sequence);
}

CUresult send(const Submission& submission, const LaunchRequest& request, const Function& function,
              Stream& stream, Prefix& prefix, Bytes packed) {
  const size_t blockBytes = function.info.parameterBytes;
  const size_t prefixBytes = sizeof(Launch) + prefix.launch.attributeCount * sizeof(LaunchAttribute);
  const auto fill = [&](std::byte* into) {
    if (request.extra) {
      std::memcpy(into, packed.data(), blockBytes);
    } else {
      packParameters(function, request.parameters, into);
    }
  };
  const bool strict = submission.session->strict();
  if (blockBytes > protocol::kMaxParameterBytes || prefix.launch.attributeCount || strict) [[unlikely]] {
    std::vector<std::byte> block(prefixBytes + blockBytes);
    fill(block.data() + prefixBytes);
    uint64_t sequence = 0;
    CUresult status;
    if (blockBytes > protocol::kMaxParameterBytes) {
      prefix.launch.flags |= protocol::messages::kParametersAttached;
      status = sendAttached(submission, prefix, prefixBytes, Bytes(block).subspan(prefixBytes), sequence);
    } else {
      std::memcpy(block.data(), &prefix, prefixBytes);
      status = post(submission, protocol::call::Launch, block, &sequence);
    }
    stream.posted.raise(sequence);
    return status;
  }
  // The ordinary launch is written straight into the ring.
  const uint64_t sent = submission.session->channel().post(
      protocol::call::Launch, submission.thread->id(), sizeof(Launch) + blockBytes,
      [&](std::byte* into, uint64_t sequence) {
        std::memcpy(into, &prefix.launch, sizeof(Launch));
        fill(into + sizeof(Launch));
        submission.context->posted.raiseInOrder(sequence);
        stream.posted.raiseInOrder(sequence);
      });
  return sent == 0 ? kSessionLost : CUDA_SUCCESS;
}

bool wantsCooperative(const LaunchRequest& request) {
  if (request.cooperative) return true;
  for (unsigned i = 0; i < request.attributeCount; ++i) {
    if (request.attributes[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE &&
        request.attributes[i].value.cooperative)
      return true;
  }
  return false;
}

CUresult launch(const LaunchRequest& request) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Function* function = findLaunchable(*submission.session, request.function);
  if (!function || (function->context && function->context != submission.context))
    return CUDA_ERROR_INVALID_HANDLE;
  Stream* stream = resolveStream(submission, request.stream, request.perThread);
  if (!stream || stream->context != submission.context) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult status = checkAttributes(submission, request); status != CUDA_SUCCESS) return status;
  if (const CUresult status = checkLimits(submission, request, *function); status != CUDA_SUCCESS)
    return status;
  Bytes packed;
  if (const CUresult status = checkParameters(request, *function, packed); status != CUDA_SUCCESS)
    return status;
  if (const CUresult status = refuseLegacyDuringCapture(submission, *stream); status != CUDA_SUCCESS)
    return status;
  const bool cooperative = wantsCooperative(request);
  if (cooperative) {
    if (const CUresult status = checkCooperative(submission, request, *function); status != CUDA_SUCCESS)
      return status;
  }
  if (const CUresult status = pushToDevice(submission); status != CUDA_SUCCESS) return status;

  Prefix prefix;
  prefix.launch = {.function = function->handle.bits(),
                   .stream = stream->wire,
                   .grid = {request.grid[0], request.grid[1], request.grid[2]},
                   .block = {static_cast<uint16_t>(request.block[0]), static_cast<uint16_t>(request.block[1]),
                             static_cast<uint16_t>(request.block[2])},
                   .flags = static_cast<uint8_t>(cooperative ? protocol::messages::kCooperative : 0),
                   .attributeCount = 0,
                   .sharedBytes = request.sharedBytes,
                   .parameterBytes = function->info.parameterBytes};
  prefix.launch.attributeCount = static_cast<uint8_t>(packAttributes(request, prefix.attributes));
  const CUresult status = send(submission, request, *function, *stream, prefix, packed);
  if (status == CUDA_SUCCESS) deviceWillWriteAnywhere(*stream);
  return status;
}

template <bool perThread>
CUresult launchEx(const CUlaunchConfig* config, CUfunction function, void** parameters, void** extra) {
  if (!config || (config->numAttrs && !config->attrs)) return CUDA_ERROR_INVALID_VALUE;
  return launch({.function = function,
                 .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
                 .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
                 .stream = config->hStream,
                 .sharedBytes = config->sharedMemBytes,
                 .attributeCount = config->numAttrs,
                 .parameters = parameters,
                 .attributes = config->attrs,
                 .extra = extra,
                 .perThread = perThread});
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;

#define LAUNCH_VARIANTS(perThreadStream, suffix)                                                             \
  VGPU_EXPORT CUresult cuLaunchKernel##suffix(                                                               \
      CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, \
      unsigned blockZ, unsigned sharedBytes, CUstream stream, void** parameters, void** extra) {             \
    return launch({.function = function,                                                                     \
                   .grid = {gridX, gridY, gridZ},                                                            \
                   .block = {blockX, blockY, blockZ},                                                        \
                   .stream = stream,                                                                         \
                   .sharedBytes = sharedBytes,                                                               \
                   .parameters = parameters,                                                                 \
                   .extra = extra,                                                                           \
                   .perThread = perThreadStream});                                                           \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuLaunchCooperativeKernel##suffix(                                                    \
      CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, \
      unsigned blockZ, unsigned sharedBytes, CUstream stream, void** parameters) {                           \
    return launch({.function = function,                                                                     \
                   .grid = {gridX, gridY, gridZ},                                                            \
                   .block = {blockX, blockY, blockZ},                                                        \
                   .stream = stream,                                                                         \
                   .sharedBytes = sharedBytes,                                                               \
                   .parameters = parameters,                                                                 \
                   .perThread = perThreadStream,                                                             \
                   .cooperative = true});                                                                    \
  }                                                                                                          \
  VGPU_EXPORT CUresult cuLaunchKernelEx##suffix(const CUlaunchConfig* config, CUfunction function,           \
                                                void** parameters, void** extra) {                           \
    return launchEx<perThreadStream>(config, function, parameters, extra);                                   \
  }

LAUNCH_VARIANTS(false, )
LAUNCH_VARIANTS(true, _ptsz)
