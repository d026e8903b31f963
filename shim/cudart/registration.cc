// The stubs that nvcc and clang emit: registration before main, and the managed variables' first touch.
// Nothing here talks to the driver except __cudaInitModule, so that a program which never uses CUDA never
// starts it.
#include "shim/cudart/registry.h"
#include "shim/cudart/state.h"

namespace {

using vgpu::cudart::Binary;
using vgpu::cudart::registry;

Binary* binaryOf(void** handle) { return reinterpret_cast<Binary*>(handle); }

}  // namespace

VGPU_EXPORT void** __cudaRegisterFatBinary(void* fatCubin) {
  return reinterpret_cast<void**>(registry.addBinary(fatCubin));
}

// Marks the end of a binary's registrations; lookups here need no such mark.
VGPU_EXPORT void __cudaRegisterFatBinaryEnd(void**) {}

VGPU_EXPORT void __cudaUnregisterFatBinary(void** handle) {
  if (handle != nullptr) registry.removeBinary(binaryOf(handle));
}

VGPU_EXPORT void __cudaRegisterFunction(void** handle, const char* hostFunction, char*,
                                        const char* deviceName, int, uint3*, uint3*, dim3*, dim3*, int*) {
  registry.addKernel(binaryOf(handle), hostFunction, deviceName);
}

VGPU_EXPORT void __cudaRegisterVar(void** handle, char* hostVariable, char*, const char* deviceName, int,
                                   size_t size, int, int) {
  registry.addVariable(binaryOf(handle), hostVariable, deviceName, size, nullptr);
}

VGPU_EXPORT void __cudaRegisterManagedVar(void** handle, void** hostPointer, char*, const char* deviceName,
                                          int, size_t size, int, int) {
  registry.addVariable(binaryOf(handle), static_cast<const void*>(hostPointer), deviceName, size,
                       hostPointer);
}

// Called before the first use of a managed variable by host code.
VGPU_EXPORT char __cudaInitModule(void** handle) {
  return vgpu::cudart::onContext([&] { return registry.load(binaryOf(handle)); }) == cudaSuccess;
}

extern "C" cudaError_t cudaGetSymbolAddress(void** address, const void* symbol) {
  return vgpu::cudart::onContext([&] {
    if (address == nullptr) return cudaErrorInvalidValue;
    CUdeviceptr found = 0;
    size_t size = 0;
    cudaError_t error = registry.variable(symbol, &found, &size);
    if (error == cudaSuccess) *address = reinterpret_cast<void*>(found);
    return error;
  });
}

extern "C" cudaError_t cudaGetSymbolSize(size_t* size, const void* symbol) {
  return vgpu::cudart::onContext([&] {
    if (size == nullptr) return cudaErrorInvalidValue;
    CUdeviceptr found = 0;
    return registry.variable(symbol, &found, size);
  });
}
