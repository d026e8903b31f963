#include "cpu_driver/runtime/device.h"

#include <algorithm>
#include <cstring>

#include "cpu_driver/api/entry.h"
#include "cpu_driver/runtime/configuration.h"

using namespace vgpu::cpu;

namespace {

// A call about the only device.
template <class Body>
CUresult withDevice(CUdevice device, Body&& body) {
  return withDriver([&]() -> CUresult { return device == 0 ? body() : CUDA_ERROR_INVALID_DEVICE; });
}

CUresult copyText(char* to, int length, const char* text) {
  if (!to || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  const size_t bytes = std::min<size_t>(static_cast<size_t>(length) - 1, std::strlen(text));
  std::memcpy(to, text, bytes);
  to[bytes] = '\0';
  return CUDA_SUCCESS;
}

CUresult attribute(CUdevice device, CUdevice_attribute which, int* value) {
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  return withDevice(device, [&] { return deviceAttribute(which, value); });
}

}  // namespace

extern "C" {

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return withDevice(ordinal, [&] {
    if (!device) return CUDA_ERROR_INVALID_VALUE;
    *device = ordinal;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetCount(int* count) {
  return withDriver([&] {
    if (!count) return CUDA_ERROR_INVALID_VALUE;
    *count = 1;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  return withDevice(device, [&] { return copyText(name, length, kDeviceName); });
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return withDevice(device, [&] {
    if (!uuid) return CUDA_ERROR_INVALID_VALUE;
    *uuid = deviceUuid();
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

// A LUID exists on Windows only; the vendor's driver refuses it elsewhere.
CUresult cuDeviceGetLuid(char*, unsigned*, CUdevice device) {
  return withDevice(device, [] { return CUDA_ERROR_NOT_SUPPORTED; });
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  return withDevice(device, [&] {
    if (!bytes) return CUDA_ERROR_INVALID_VALUE;
    *bytes = configuration().deviceMemoryBytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute which, CUdevice device) {
  return attribute(device, which, value);
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t* elements, CUarray_format format, unsigned channels,
                                            CUdevice device) {
  return withDevice(device, [&] {
    const unsigned bytes = channelBytes(format) * channels;
    if (!elements || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    int most = 0;
    deviceAttribute(CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH, &most);
    *elements = static_cast<size_t>(most);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  const CUresult result = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, major);
  return result == CUDA_SUCCESS ? attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, minor)
                                : result;
}

CUresult cuDeviceGetProperties(CUdevprop* properties, CUdevice device) {
  return withDevice(device, [&] {
    if (!properties) return CUDA_ERROR_INVALID_VALUE;
    const auto value = [](CUdevice_attribute which) {
      int number = 0;
      deviceAttribute(which, &number);
      return number;
    };
    *properties = {value(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
                   {value(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X), value(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
                    value(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)},
                   {value(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X), value(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
                    value(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)},
                   value(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
                   value(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
                   value(CU_DEVICE_ATTRIBUTE_WARP_SIZE),
                   value(CU_DEVICE_ATTRIBUTE_MAX_PITCH),
                   value(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
                   value(CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
                   value(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT)};
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* id) {
  return withDriver([&] {
    if (!device || !id) return CUDA_ERROR_INVALID_VALUE;
    // With or without the domain, as documented.
    if (std::strcmp(id, kPciBusId) != 0 && std::strcmp(id, kPciBusId + 5) != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetPCIBusId(char* id, int length, CUdevice device) {
  return withDevice(device, [&] { return copyText(id, length, kPciBusId); });
}

CUresult cuDeviceGetExecAffinitySupport(int* supported, CUexecAffinityType type, CUdevice device) {
  return withDevice(device, [&] {
    if (!supported || type != CU_EXEC_AFFINITY_TYPE_SM_COUNT) return CUDA_ERROR_INVALID_VALUE;
    *supported = 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetHostAtomicCapabilities(unsigned* capabilities, const CUatomicOperation* operations,
                                           unsigned count, CUdevice device) {
  return withDevice(device, [&] {
    if (!capabilities || !operations) return CUDA_ERROR_INVALID_VALUE;
    // Device atomics are the processor's own; which of its operations the host has is not told apart here.
    std::fill_n(capabilities, count, 0u);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  return withDevice(device, [&] {
    if (!can) return CUDA_ERROR_INVALID_VALUE;
    if (peer != 0) return CUDA_ERROR_INVALID_DEVICE;
    *can = 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetP2PAttribute(int* value, CUdevice_P2PAttribute, CUdevice from, CUdevice to) {
  return withDevice(from, [&] {
    // One device is no pair of them; the vendor's driver says the same for equal ones.
    (void)value, (void)to;
    return CUDA_ERROR_INVALID_DEVICE;
  });
}

CUresult cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget, CUflushGPUDirectRDMAWritesScope) {
  return withContext([](Context&) { return CUDA_ERROR_NOT_SUPPORTED; });
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice device) {
  return withDevice(device, [&] {
    if (!pool) return CUDA_ERROR_INVALID_VALUE;
    *pool = driver().pools().defaultPool();
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetMemPool(CUmemoryPool* pool, CUdevice device) {
  return withDevice(device, [&] {
    if (!pool) return CUDA_ERROR_INVALID_VALUE;
    *pool = driver().pools().current();
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool) {
  return withDevice(device, [&] { return driver().pools().setCurrent(pool); });
}

}  // extern "C"
