// Kernel launches. The parameter block is the record's private copy; its size is checked against the
// function's own table of parameters. Limits of grid and block are the driver's to refuse.
#include "mediator/executor/handlers.h"

namespace vgpu::executor {
namespace {

using protocol::messages::Launch;
using protocol::messages::LaunchAttribute;

// An attribute that names no object of the guest, and so may be passed on as it is.
bool isPlainAttribute(uint32_t id) {
  switch (id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      return true;
    default:
      return false;
  }
}

constexpr size_t kMostAttributes = 32;
static_assert(sizeof(CUlaunchAttributeValue) == sizeof LaunchAttribute::value);

struct Attributes {
  CUlaunchAttribute values[kMostAttributes + 1];
  unsigned count = 0;
};

CUresult decodeAttributes(const Launch& message, Decoder& rest, Attributes& out) {
  CUresult status = CUDA_SUCCESS;
  for (unsigned i = 0; i < message.attributeCount; ++i) {
    const auto attribute = rest.get<LaunchAttribute>();
    if (i >= kMostAttributes) continue;
    if (!isPlainAttribute(attribute.id)) status = CUDA_ERROR_NOT_SUPPORTED;
    CUlaunchAttribute& value = out.values[out.count++];
    value = {};
    value.id = static_cast<CUlaunchAttributeID>(attribute.id);
    std::memcpy(&value.value, attribute.value, sizeof attribute.value);
  }
  if (message.attributeCount > kMostAttributes) return CUDA_ERROR_INVALID_VALUE;
  if (message.flags & protocol::messages::kCooperative) {
    CUlaunchAttribute& cooperative = out.values[out.count++];
    cooperative = {};
    cooperative.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    cooperative.value.cooperative = 1;
  }
  return status;
}

CUresult launchPlainly(const Driver& driver, const Launch& message, CUfunction function, CUstream stream,
                       void** extra) {
  return driver.cuLaunchKernel(function, message.grid[0], message.grid[1], message.grid[2], message.block[0],
                               message.block[1], message.block[2], message.sharedBytes, stream, nullptr,
                               extra);
}

CUresult launchWith(const Driver& driver, const Launch& message, CUfunction function, CUstream stream,
                    void** extra, Attributes& attributes) {
  if (!driver.cuLaunchKernelEx) return CUDA_ERROR_NOT_SUPPORTED;
  CUlaunchConfig config{};
  config.gridDimX = message.grid[0];
  config.gridDimY = message.grid[1];
  config.gridDimZ = message.grid[2];
  config.blockDimX = message.block[0];
  config.blockDimY = message.block[1];
  config.blockDimZ = message.block[2];
  config.sharedMemBytes = message.sharedBytes;
  config.hStream = stream;
  config.attrs = attributes.values;
  config.numAttrs = attributes.count;
  return driver.cuLaunchKernelEx(&config, function, nullptr, extra);
}

}  // namespace

void handleLaunch(Execution& execution, Submission& s, const Launch& message, Decoder& rest) {
  const FunctionObject* function = execution.function(s, message.function);
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  const bool special = message.attributeCount != 0 || (message.flags & protocol::messages::kCooperative);
  Attributes attributes;
  CUresult attributesStatus = CUDA_SUCCESS;
  if (special) attributesStatus = decodeAttributes(message, rest, attributes);
  const bool attached = message.flags & protocol::messages::kParametersAttached;
  const auto inlineBlock = rest.rest();
  if (rest.failed()) return execution.lie(s, "is cut short");
  if (execution.lied()) return;
  const auto block = attached ? s.data : inlineBlock;
  if (block.size() < message.parameterBytes ||
      message.parameterBytes > protocol::kMaxAttachedParameterBytes) {
    return execution.lie(s, "has fewer parameter bytes than it says");
  }
  if (!function) return execution.posted(s, CUDA_ERROR_INVALID_HANDLE);
  if (!stream) return execution.posted(s, status);
  if (attributesStatus != CUDA_SUCCESS) return execution.posted(s, attributesStatus);
  if (function->parametersKnown && message.parameterBytes < function->parameterBytes) {
    return execution.posted(s, CUDA_ERROR_INVALID_VALUE);
  }
  if (!execution.begin(*stream, s)) return;

  // What lies in a slot can still change under the driver's eyes, which is why the driver gets a copy.
  std::vector<std::byte> copied;
  const void* parameters = block.data();
  if (attached) {
    copied.assign(block.begin(), block.end());
    parameters = copied.data();
  }
  size_t parameterBytes = function->parametersKnown ? function->parameterBytes : message.parameterBytes;
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, const_cast<void*>(parameters), CU_LAUNCH_PARAM_BUFFER_SIZE,
                   &parameterBytes, CU_LAUNCH_PARAM_END};
  void** passed = parameterBytes == 0 ? nullptr : extra;
  status = special
               ? launchWith(execution.driver, message, function->driver, stream->driver, passed, attributes)
               : launchPlainly(execution.driver, message, function->driver, stream->driver, passed);
  execution.posted(s, status);
}

}  // namespace vgpu::executor
