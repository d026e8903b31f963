// Devices: all answered from the welcome.
#include "shim/cuda/device.h"

#include <cstdio>
#include <cstring>

#include "protocol/abi/cuda.h"
#include "shim/cuda/exported.h"
#include "shim/session/submit.h"

namespace vgpu::shim {

CUresult findDevice(CUdevice device, const protocol::DeviceInfo*& info) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  if (device < 0 || device >= static_cast<int>(session->devices().size())) return CUDA_ERROR_INVALID_DEVICE;
  info = &session->devices()[static_cast<size_t>(device)];
  return CUDA_SUCCESS;
}

namespace {

bool attributeKnown(const protocol::DeviceInfo& info, CUdevice_attribute attribute) {
  const auto index = static_cast<uint32_t>(attribute);
  return index < protocol::kMaxAttributes && (info.attributeKnown[index / 8] >> index % 8 & 1);
}

void fillProperties(CUdevprop& properties, const protocol::DeviceInfo& info) {
  const auto get = [&](CUdevice_attribute attribute) { return deviceAttribute(info, attribute); };
  properties.maxThreadsPerBlock = get(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  properties.maxThreadsDim[0] = get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X);
  properties.maxThreadsDim[1] = get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y);
  properties.maxThreadsDim[2] = get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z);
  properties.maxGridSize[0] = get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X);
  properties.maxGridSize[1] = get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y);
  properties.maxGridSize[2] = get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z);
  properties.sharedMemPerBlock = get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
  properties.totalConstantMemory = get(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY);
  properties.SIMDWidth = get(CU_DEVICE_ATTRIBUTE_WARP_SIZE);
  properties.memPitch = get(CU_DEVICE_ATTRIBUTE_MAX_PITCH);
  properties.regsPerBlock = get(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
  properties.clockRate = get(CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
  properties.textureAlign = get(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT);
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;

VGPU_EXPORT CUresult cuInit(unsigned flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult status = Session::start();
  if (status != CUDA_SUCCESS) return status;
  return Session::get()->devices().empty() ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}

// Natively this needs no cuInit. Without a session the version is that of the headers this library is built
// with.
VGPU_EXPORT CUresult cuDriverGetVersion(int* version) {
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  Session* session = Session::get();
  *version = session ? session->welcome().driverVersion : CUDA_VERSION;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetCount(int* count) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  if (!count) return CUDA_ERROR_INVALID_VALUE;
  *count = static_cast<int>(session->devices().size());
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(ordinal, info); status != CUDA_SUCCESS) return status;
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!name || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  std::snprintf(name, static_cast<size_t>(length), "%s", info->name);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!uuid) return CUDA_ERROR_INVALID_VALUE;
  static_assert(sizeof *uuid == sizeof info->uuid);
  std::memcpy(uuid, info->uuid, sizeof *uuid);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return cuDeviceGetUuid(uuid, device);
}

VGPU_EXPORT CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!bytes) return CUDA_ERROR_INVALID_VALUE;
  *bytes = info->totalBytes;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!value || !attributeKnown(*info, attribute)) return CUDA_ERROR_INVALID_VALUE;
  *value = deviceAttribute(*info, attribute);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetProperties(CUdevprop* properties, CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!properties) return CUDA_ERROR_INVALID_VALUE;
  fillProperties(*properties, *info);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!major || !minor) return CUDA_ERROR_INVALID_VALUE;
  *major = deviceAttribute(*info, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  *minor = deviceAttribute(*info, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!text || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  std::snprintf(text, static_cast<size_t>(length), "%s", info->pciBusId);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* text) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  if (!device || !text) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < session->devices().size(); ++i) {
    const char* known = session->devices()[i].pciBusId;
    // The domain may be left out (cuda.h: [domain]:[bus]:[device].[function] or [bus]:[device].[function]).
    const char* withoutDomain = std::strchr(known, ':') ? std::strchr(known, ':') + 1 : known;
    if (::strcasecmp(text, known) != 0 && ::strcasecmp(text, withoutDomain) != 0) continue;
    *device = static_cast<CUdevice>(i);
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_DEVICE;
}

VGPU_EXPORT CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  const vgpu::protocol::DeviceInfo* info;
  CUresult status = findDevice(device, info);
  if (status == CUDA_SUCCESS) status = findDevice(peer, info);
  if (status != CUDA_SUCCESS) return status;
  if (!can) return CUDA_ERROR_INVALID_VALUE;
  *can = 0;  // a device is not its own peer, and a session sees one device
  return CUDA_SUCCESS;
}
