#include "shim/cudart/registry.h"

#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {

constinit Registry registry;

Binary* Registry::addBinary(const void* wrapper) {
  auto* binary = new Binary;
  binary->self = binary;
  binary->wrapper = wrapper;
  return binary;
}

void Registry::removeBinary(Binary* binary) {
  std::lock_guard lock(binary->mutex);
  binary->wrapper = nullptr;
  CUlibrary library = binary->library.exchange(nullptr);
  // At the end of the process the driver takes everything down by itself, and a forked child has no part in
  // it.
  if (library != nullptr && driverRuns()) driver::cuLibraryUnload(library);
}

void Registry::addKernel(Binary* binary, const void* hostFunction, const char* name) {
  auto* kernel = new Kernel;
  kernel->binary = binary;
  kernel->name = name;
  std::lock_guard lock(mutex_);
  kernels_.put(hostFunction, kernel);
}

void Registry::addVariable(Binary* binary, const void* hostVariable, const char* name, size_t size,
                           void** managedPointer) {
  auto* variable = new Variable;
  variable->binary = binary;
  variable->name = name;
  variable->size = size;
  variable->managedPointer = managedPointer;
  {
    std::lock_guard lock(mutex_);
    variables_.put(hostVariable, variable);
  }
  if (managedPointer != nullptr) {
    std::lock_guard lock(binary->mutex);
    binary->managed.push_back(variable);
  }
}

void Registry::addHandle(CUkernel handle) {
  if (kernels_.find(handle) != nullptr) return;
  auto* kernel = new Kernel;
  kernel->handle = handle;
  std::lock_guard lock(mutex_);
  kernels_.put(handle, kernel);
}

cudaError_t Registry::load(Binary* binary) {
  if (binary->library.load(std::memory_order_acquire) != nullptr) return cudaSuccess;
  std::lock_guard lock(binary->mutex);
  if (binary->library.load() != nullptr) return cudaSuccess;
  if (binary->wrapper == nullptr) return cudaErrorInvalidDeviceFunction;
  if (binary->failure != cudaSuccess) return binary->failure;
  CUlibrary library = nullptr;
  CUresult result =
      driver::cuLibraryLoadData(&library, binary->wrapper, nullptr, nullptr, 0, nullptr, nullptr, 0);
  if (result != CUDA_SUCCESS) return binary->failure = toRuntime(result);
  for (Variable* variable : binary->managed) placeManaged(variable, library);
  binary->library.store(library, std::memory_order_release);
  return cudaSuccess;
}

// Compilers name a managed variable to the runtime by its address, once the program's pointer holds that.
void Registry::placeManaged(Variable* variable, CUlibrary library) {
  CUdeviceptr address = 0;
  size_t bytes = 0;
  if (driver::cuLibraryGetManaged(&address, &bytes, library, variable->name) != CUDA_SUCCESS) return;
  *variable->managedPointer = reinterpret_cast<void*>(address);
  std::lock_guard lock(mutex_);
  variables_.put(*variable->managedPointer, variable);
}

cudaError_t Registry::resolve(Kernel& kernel, CUkernel* handle) {
  if (cudaError_t error = load(kernel.binary); error != cudaSuccess) return error;
  CUresult result = driver::cuLibraryGetKernel(handle, kernel.binary->library.load(), kernel.name);
  if (result == CUDA_ERROR_NOT_FOUND) return cudaErrorInvalidDeviceFunction;
  if (result != CUDA_SUCCESS) return toRuntime(result);
  kernel.handle.store(*handle, std::memory_order_release);
  addHandle(*handle);
  return cudaSuccess;
}

cudaError_t Registry::kernel(const void* function, CUkernel* handle) {
  Kernel* kernel = kernels_.find(function);
  if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
  *handle = kernel->handle.load(std::memory_order_acquire);
  if (*handle != nullptr) [[likely]] {
    return cudaSuccess;
  }
  return resolve(*kernel, handle);
}

cudaError_t Registry::function(const void* function, CUfunction* handle) {
  CUkernel kernelHandle = nullptr;
  if (cudaError_t error = kernel(function, &kernelHandle); error != cudaSuccess) return error;
  return toRuntime(driver::cuKernelGetFunction(handle, kernelHandle));
}

cudaError_t Registry::variable(const void* symbol, CUdeviceptr* address, size_t* size) {
  Variable* variable = variables_.find(symbol);
  if (variable == nullptr) return cudaErrorInvalidSymbol;
  if (cudaError_t error = load(variable->binary); error != cudaSuccess) return error;
  if (variable->managedPointer != nullptr) {
    *address = reinterpret_cast<CUdeviceptr>(*variable->managedPointer);
    *size = variable->size;
    return cudaSuccess;
  }
  CUcontext context = nullptr;
  driver::cuCtxGetCurrent(&context);
  std::lock_guard lock(variable->mutex);
  if (variable->context != context || variable->epoch != contextEpoch() || variable->address == 0) {
    size_t bytes = 0;
    CUresult result = driver::cuLibraryGetGlobal(&variable->address, &bytes, variable->binary->library.load(),
                                                 variable->name);
    if (result == CUDA_ERROR_NOT_FOUND) return cudaErrorInvalidSymbol;
    if (result != CUDA_SUCCESS) return toRuntime(result);
    variable->context = context;
    variable->epoch = contextEpoch();
    if (bytes != 0) variable->size = bytes;
  }
  *address = variable->address;
  *size = variable->size;
  return cudaSuccess;
}

}  // namespace vgpu::cudart
