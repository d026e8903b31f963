#include "mediator/executor/driver.h"

#include <dlfcn.h>

namespace vgpu::executor {
namespace {

template <class Function>
void bind(void* library, const char* name, Function& into) {
  into = reinterpret_cast<Function>(::dlsym(library, name));
}

// What a row of our own needs from the driver; rows that need nothing are always served.
bool messageBound(const Driver& driver, uint16_t number) {
  namespace call = protocol::call;
  const bool memory = driver.cuMemAddressReserve && driver.cuMemCreate && driver.cuMemMap &&
                      driver.cuMemSetAccess && driver.cuMemUnmap && driver.cuMemRelease &&
                      driver.cuMemAddressFree;
  const bool callbacks = driver.cuStreamAddCallback != nullptr;
  switch (number) {
    case call::PrimaryRetain:
      return driver.cuDevicePrimaryCtxRetain;
    case call::PrimaryRelease:
      return driver.cuDevicePrimaryCtxRelease_v2;
    case call::PrimaryReset:
      return driver.cuDevicePrimaryCtxReset_v2;
    case call::ContextCreate:
      return driver.cuCtxCreate_v2;
    case call::MapDevice:
    case call::UnmapDevice:
      return memory;
    case call::SetAccess:
      return driver.cuMemSetAccess;
    case call::HostAlloc:
    case call::HostFree:
    case call::ManagedAlloc:
    case call::HostRegister:
    case call::HostUnregister:
      return driver.cuMemHostRegister_v2 && driver.cuMemHostUnregister;
    case call::CopyUpload:
      return driver.cuMemcpyHtoDAsync_v2 && callbacks;
    case call::CopyDownload:
      return driver.cuMemcpyDtoHAsync_v2 && callbacks;
    case call::CopyBox:
    case call::CopyBoxDownload:
      return driver.cuMemcpy3DAsync_v2 && callbacks;
    case call::ModuleLoad:
      return driver.cuModuleLoadDataEx;
    case call::LibraryLoad:
      return driver.cuLibraryLoadData;
    case call::ModuleGetFunction:
      return driver.cuModuleGetFunction && driver.cuFuncGetAttribute;
    case call::LibraryGetKernel:
      return driver.cuLibraryGetKernel && driver.cuKernelGetAttribute;
    case call::KernelGetFunction:
      return driver.cuKernelGetFunction && driver.cuFuncGetAttribute;
    case call::LibraryGetModule:
      return driver.cuLibraryGetModule;
    case call::LinkCreate:
    case call::LinkRead:
      return driver.cuLinkCreate_v2;
    case call::LinkAdd:
      return driver.cuLinkAddData_v2;
    case call::LinkComplete:
      return driver.cuLinkComplete;
    case call::Launch:
      return driver.cuLaunchKernel;
    case call::Mark:
    case call::HostFunction:
      return callbacks;
    case call::EventRecord:
      return driver.cuEventRecord && callbacks;
    case call::EndCapture:
      return driver.cuStreamEndCapture && driver.cuGraphDestroy;
    case call::ExchangeCaptureMode:
      return driver.cuThreadExchangeStreamCaptureMode;
    case call::TextureCreate:
      return driver.cuTexObjectCreate;
    case call::SurfaceCreate:
      return driver.cuSurfObjectCreate;
    case call::MipmappedGetLevel:
      return driver.cuMipmappedArrayGetLevel;
    default:
      return true;
  }
}

const char* missingFundamental(const Driver& driver) {
  if (!driver.cuInit) return "cuInit";
  if (!driver.cuDriverGetVersion) return "cuDriverGetVersion";
  if (!driver.cuDeviceGetCount) return "cuDeviceGetCount";
  if (!driver.cuDeviceGet) return "cuDeviceGet";
  if (!driver.cuDeviceGetName) return "cuDeviceGetName";
  if (!driver.cuDeviceGetAttribute) return "cuDeviceGetAttribute";
  if (!driver.cuDeviceTotalMem_v2) return "cuDeviceTotalMem_v2";
  if (!driver.cuCtxSetCurrent) return "cuCtxSetCurrent";
  if (!driver.cuCtxSynchronize) return "cuCtxSynchronize";
  if (!driver.cuStreamQuery) return "cuStreamQuery";
  if (!driver.cuStreamSynchronize) return "cuStreamSynchronize";
  if (!driver.cuStreamCreateWithPriority) return "cuStreamCreateWithPriority";
  return nullptr;
}

}  // namespace

BoundRows boundRows(const Driver& driver) {
  BoundRows bound;
#define CALL(number, symbol, ...) bound[number] = driver.symbol != nullptr;
#define MESSAGE(number, name, mode) bound[number] = messageBound(driver, number);
#include "protocol/calls/table.inc"
  return bound;
}

Result<Driver> loadDriver(const std::string& library) {
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return Error{"load the driver " + library, ::dlerror()};
  Driver driver;
#define CALL(number, symbol, ...) bind(handle, #symbol, driver.symbol);
#include "protocol/calls/table.inc"
#define SYMBOL(symbol) bind(handle, #symbol, driver.symbol);
#include "mediator/executor/driver_symbols.inc"
  bind(handle, "vgpuCpuDriverSetOutput", driver.vgpuCpuDriverSetOutput);
  bind(handle, "vgpuCpuDriverHostAddress", driver.vgpuCpuDriverHostAddress);
  if (const char* missing = missingFundamental(driver)) {
    return Error{"bind the driver " + library,
                 std::string("it lacks ") + missing + "; is it a libcuda.so.1?"};
  }
  return driver;
}

}  // namespace vgpu::executor
