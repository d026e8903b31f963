#include "mediator/executor/session_start.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "protocol/calls/names.h"

namespace vgpu::executor {

using protocol::DeviceInfo;
using protocol::Hello;
using protocol::Welcome;

namespace {

// Kept free behind each allocation: a page is enough for running past the end to fault.
constexpr uint64_t kLeastGuardBytes = 4096;

// What a session offers differs from what the driver's own process has: managed and registered memory do not
// follow the guest's pages, and nothing can be exported out of the executor.
void tellSessionsTruth(DeviceInfo& info) {
  for (const CUdevice_attribute attribute :
       {CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS,
        CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES,
        CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST,
        CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
        CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED,
        CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
        CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED, CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED,
        CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED}) {
    info.attributes[attribute] = 0;
  }
}

Error driverError(const char* operation, CUresult status) {
  return Error{operation, "the driver answers " + std::to_string(static_cast<int>(status)),
               static_cast<int>(status)};
}

DeviceInfo describe(const Driver& driver, CUdevice device) {
  DeviceInfo info{};
  driver.cuDeviceGetName(info.name, sizeof info.name - 1, device);
  CUuuid uuid{};
  if (driver.cuDeviceGetUuid_v2) driver.cuDeviceGetUuid_v2(&uuid, device);
  std::memcpy(info.uuid, &uuid, sizeof info.uuid);
  if (driver.cuDeviceGetPCIBusId) driver.cuDeviceGetPCIBusId(info.pciBusId, sizeof info.pciBusId, device);
  size_t totalBytes = 0;
  driver.cuDeviceTotalMem_v2(&totalBytes, device);
  info.totalBytes = totalBytes;
  for (uint32_t attribute = 1; attribute < protocol::kMaxAttributes; ++attribute) {
    int value = 0;
    if (driver.cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(attribute), device) !=
        CUDA_SUCCESS)
      continue;
    info.attributes[attribute] = value;
    info.attributeKnown[attribute / 8] =
        static_cast<uint8_t>(info.attributeKnown[attribute / 8] | 1 << attribute % 8);
  }
  tellSessionsTruth(info);
  return info;
}

uint64_t granularityOf(const Driver& driver, CUdevice device) {
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device};
  size_t bytes = 0;
  if (driver.cuMemGetAllocationGranularity) {
    driver.cuMemGetAllocationGranularity(&bytes, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
  }
  return std::max<uint64_t>(bytes, kLeastGuardBytes);
}

std::string uuidText(const uint8_t (&uuid)[16]) {
  char text[64];
  std::snprintf(text, sizeof text, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                uuid[0], uuid[1], uuid[2], uuid[3], uuid[4], uuid[5], uuid[6], uuid[7], uuid[8], uuid[9],
                uuid[10], uuid[11], uuid[12], uuid[13], uuid[14], uuid[15]);
  return text;
}

}  // namespace

Result<SessionDevices> describeDevices(const Driver& driver) {
  SessionDevices result;
  if (const CUresult status = driver.cuInit(0); status != CUDA_SUCCESS)
    return driverError("initialise the driver", status);
  driver.cuDriverGetVersion(&result.driverVersion);
  int count = 0;
  if (const CUresult status = driver.cuDeviceGetCount(&count); status != CUDA_SUCCESS)
    return driverError("count devices", status);
  for (int ordinal = 0; ordinal < std::min<int>(count, protocol::kMaxDevices); ++ordinal) {
    CUdevice device;
    if (const CUresult status = driver.cuDeviceGet(&device, ordinal); status != CUDA_SUCCESS)
      return driverError("open a device", status);
    result.devices.push_back(describe(driver, device));
    result.granularityBytes = std::max(result.granularityBytes, granularityOf(driver, device));
  }
  if (result.devices.empty()) return Error{"find a device", "the driver has none"};
  return result;
}

link::DriverReport reportOf(const SessionDevices& devices) {
  link::DriverReport report;
  report.driverVersion = static_cast<uint32_t>(devices.driverVersion);
  for (const DeviceInfo& info : devices.devices) {
    const auto attribute = [&](CUdevice_attribute which) {
      return static_cast<uint32_t>(info.attributes[which]);
    };
    report.devices.push_back({info.name, uuidText(info.uuid), info.totalBytes,
                              attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                              attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
                              attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)});
  }
  return report;
}

Result<Hello> readHello(std::span<const std::byte> bytes) {
  const Error refusal{"read the guest's hello", "it is none; the guest must install the same vgpu version"};
  Hello hello;
  if (bytes.size() != sizeof hello) return refusal;
  std::memcpy(&hello, bytes.data(), sizeof hello);
  if (hello.protocolVersion != protocol::kProtocolVersion) {
    return Error{"speak with the guest",
                 "it speaks protocol version " + std::to_string(hello.protocolVersion) + ", this executor " +
                     std::to_string(protocol::kProtocolVersion) + "; install the same vgpu version"};
  }
  hello.program[sizeof hello.program - 1] = 0;
  return hello;
}

Result<Mapping> reserveRange(const Hello& hello) {
  constexpr uint64_t kLeastBytes = uint64_t{1} << 20;
  if (hello.rangeBytes < kLeastBytes || hello.rangeBytes > protocol::kSessionRangeBytes ||
      hello.rangeBytes % 4096 != 0) {
    return Error{"reserve the session's addresses", "the guest asks for an impossible size"};
  }
  for (uint32_t i = 0; i < protocol::kRangeCandidateCount; ++i) {
    if (!(hello.freeRanges >> i & 1)) continue;
    if (auto range = reserveAt(protocol::kRangeCandidates[i], hello.rangeBytes)) return std::move(*range);
  }
  return Error{"reserve the session's addresses", "no range is free in both processes"};
}

std::vector<std::byte> makeWelcome(const Driver& driver, const SessionDevices& devices, const Mapping& range,
                                   uint64_t sessionId) {
  Welcome welcome{};
  welcome.protocolVersion = protocol::kProtocolVersion;
  welcome.driverVersion = devices.driverVersion;
  welcome.rangeBase = reinterpret_cast<uint64_t>(range.data());
  welcome.rangeBytes = range.sizeBytes();
  welcome.granularityBytes = devices.granularityBytes;
  welcome.guardBytes = static_cast<uint32_t>(std::min<uint64_t>(devices.granularityBytes, uint64_t{1} << 30));
  welcome.deviceCount = static_cast<uint32_t>(devices.devices.size());
  welcome.sessionId = sessionId;
  const BoundRows bound = boundRows(driver);
  for (size_t i = 0; i < protocol::callCount(); ++i) {
    if (bound[protocol::callNumber(i)]) protocol::setRow(welcome, protocol::callNumber(i));
  }
  std::vector<std::byte> bytes(sizeof welcome + devices.devices.size() * sizeof(DeviceInfo));
  std::memcpy(bytes.data(), &welcome, sizeof welcome);
  std::memcpy(bytes.data() + sizeof welcome, devices.devices.data(), bytes.size() - sizeof welcome);
  return bytes;
}

}  // namespace vgpu::executor
