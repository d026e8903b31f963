// Launches. What the vendor's driver refuses at the call is refused here, before anything is queued.
#include <cstring>

#include "cpu_driver/api/entry.h"
#include "cpu_driver/api/find_function.h"
#include "cpu_driver/runtime/configuration.h"
#include "cpu_driver/runtime/device.h"
#include "cpu_driver/runtime/host_work.h"
#include "cpu_driver/runtime/inline_launch.h"
#include "cpu_driver/runtime/kernel_work.h"
#include "cpu_driver/runtime/occupancy.h"

using namespace vgpu::cpu;

namespace {

using vgpu::kernel::Dim3;

struct Shape {
  Dim3 grid, block;
  unsigned sharedBytes = 0;
  bool cooperative = false;
};

constexpr uint32_t kMostGridX = 2147483647, kMostGridYZ = 65535;
constexpr uint32_t kMostBlockXY = 1024, kMostBlockZ = 64;

bool within(Dim3 value, Dim3 most) {
  return value.x >= 1 && value.y >= 1 && value.z >= 1 && value.x <= most.x && value.y <= most.y &&
         value.z <= most.z;
}

CUresult checkShape(Function& function, const Shape& shape) {
  if (!within(shape.grid, {kMostGridX, kMostGridYZ, kMostGridYZ})) return CUDA_ERROR_INVALID_VALUE;
  if (!within(shape.block, {kMostBlockXY, kMostBlockXY, kMostBlockZ})) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t threads = shape.block.count();
  if (threads > kMostThreadsPerBlock) return CUDA_ERROR_INVALID_VALUE;
  KernelCode& code = function.code();
  if (threads > code.mostThreads()) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  const auto& required = code.directives().requiredThreads;
  if (required[0] != 0 &&
      !(shape.block == Dim3{required[0], std::max(1u, required[1]), std::max(1u, required[2])})) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  // Blocks of a cluster are not run together here; running them apart would be wrong without a word.
  for (const uint32_t blocks : code.directives().requiredCluster) {
    if (blocks > 1) return CUDA_ERROR_NOT_SUPPORTED;
  }
  int mostDynamic = 0;
  if (shape.sharedBytes != 0) {
    const CUresult result = function.attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, &mostDynamic);
    if (result != CUDA_SUCCESS) return result;
    if (shape.sharedBytes > static_cast<unsigned>(mostDynamic)) return CUDA_ERROR_INVALID_VALUE;
  }
  if (shape.cooperative) {
    const uint64_t resident =
        uint64_t{residentBlocks(code, threads, shape.sharedBytes)} * configuration().multiprocessors;
    if (shape.grid.count() > resident) return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
  }
  return CUDA_SUCCESS;
}

CUresult packList(const KernelCode& code, void** list, std::byte* block) {
  for (size_t i = 0; i < code.parameters().size(); ++i) {
    if (!list[i]) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(block + code.parameters()[i].offset, list[i], code.parameters()[i].sizeBytes);
  }
  return CUDA_SUCCESS;
}

CUresult packExtra(const KernelCode& code, void** extra, std::byte* block) {
  const void* buffer = nullptr;
  size_t bytes = 0;
  for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER) {
      buffer = extra[1];
    } else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE) {
      bytes = *static_cast<const size_t*>(extra[1]);
    } else {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  if (!buffer || bytes < code.parameterBytes()) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(block, buffer, code.parameterBytes());
  return CUDA_SUCCESS;
}

CUresult pack(const KernelCode& code, void** list, void** extra, LaunchRequest* request) {
  request->parameterBytes = code.parameterBytes();
  if (request->parameterBytes > request->inlineParameters.size())
    request->largeParameters.resize(request->parameterBytes);
  if (list && extra) return CUDA_ERROR_INVALID_VALUE;
  if (list) return packList(code, list, request->parameters());
  if (extra) return packExtra(code, extra, request->parameters());
  return code.parameters().empty() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult launch(CUfunction handle, const Shape& shape, CUstream streamHandle, void** list, void** extra) {
  return withStream(streamHandle, [&](Context& context, Stream& stream) -> CUresult {
    CUresult error = CUDA_SUCCESS;
    Function* function = findFunction(context, handle, &error);
    if (!function) return error;
    if (const Failure& failed = function->code().resolve(); failed.code != CUDA_SUCCESS) {
      function->code().explain(context.output(), failed);
      return failed.code;
    }
    if (const CUresult refused = checkShape(*function, shape); refused != CUDA_SUCCESS) return refused;
    LaunchRequest request;
    if (const CUresult refused = pack(function->code(), list, extra, &request); refused != CUDA_SUCCESS)
      return refused;
    request.module = &function->module();
    request.grid = shape.grid;
    request.block = shape.block;
    request.dynamicSharedBytes = shape.sharedBytes;
    request.cooperative = shape.cooperative;
    if (!driver().captures().any() && runInline(stream, *function, request)) return CUDA_SUCCESS;
    request.code = function->sharedCode();
    request.variant = request.code->variant(shape.block);
    return submit(stream, CU_GRAPH_NODE_TYPE_KERNEL,
                  [request = std::move(request)](Stream& on) { on.enqueue<KernelWork>(request); });
  });
}

// Attributes that ask for what this device does not have are refused; hints are not.
CUresult readAttributes(const CUlaunchConfig& config, Shape* shape) {
  if (config.numAttrs != 0 && !config.attrs) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const CUlaunchAttribute& attribute = config.attrs[i];
    switch (attribute.id) {
      case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        shape->cooperative = attribute.value.cooperative != 0;
        break;
      case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: {
        const auto& cluster = attribute.value.clusterDim;
        if (uint64_t{cluster.x} * cluster.y * cluster.z > 1) return CUDA_ERROR_NOT_SUPPORTED;
        break;
      }
      case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
      case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
      case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
        return CUDA_ERROR_NOT_SUPPORTED;
      default:
        break;
    }
  }
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                        unsigned blockY, unsigned blockZ, unsigned sharedBytes, CUstream stream,
                        void** parameters, void** extra) {
  return launch(function, {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, false}, stream,
                parameters, extra);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters,
                          void** extra) {
  if (!config) return CUDA_ERROR_INVALID_VALUE;
  Shape shape{{config->gridDimX, config->gridDimY, config->gridDimZ},
              {config->blockDimX, config->blockDimY, config->blockDimZ},
              config->sharedMemBytes,
              false};
  if (const CUresult refused = readAttributes(*config, &shape); refused != CUDA_SUCCESS) return refused;
  return launch(function, shape, config->hStream, parameters, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ,
                                   unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                                   CUstream stream, void** parameters) {
  return launch(function, {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, true}, stream,
                parameters, nullptr);
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void* data) {
  return withStream(handle, [&](Context&, Stream& stream) -> CUresult {
    if (!function) return CUDA_ERROR_INVALID_VALUE;
    return submit(stream, CU_GRAPH_NODE_TYPE_HOST, [function, data](Stream& on) {
      on.enqueue<HostWork>([function, data](CUresult) { function(data); }, false);
    });
  });
}

CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void* data, unsigned flags) {
  return withStream(handle, [&](Context&, Stream& stream) -> CUresult {
    if (!callback || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (driver().captures().any() && capturing(stream)) return driver().captures().refuseWait(stream);
    return submit(stream, CU_GRAPH_NODE_TYPE_HOST, [callback, handle, data](Stream& on) {
      on.enqueue<HostWork>([callback, handle, data](CUresult status) { callback(handle, status, data); },
                           true);
    });
  });
}

}  // extern "C"
