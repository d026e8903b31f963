// Libraries that a program loads itself. A cudaLibrary_t is the driver's; its kernels may be named wherever
// the runtime takes a function.
#include "shim/cudart/driver.h"
#include "shim/cudart/registry.h"
#include "shim/cudart/state.h"

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

namespace {

// The enumerations of both interfaces have the same values.
CUjit_option* jit(cudaJitOption* options) { return reinterpret_cast<CUjit_option*>(options); }
CUlibraryOption* form(cudaLibraryOption* options) { return reinterpret_cast<CUlibraryOption*>(options); }

// Natively a library's missing symbol is the runtime's cudaErrorSymbolNotFound, which has the driver's
// number.
cudaError_t address(void** pointer, size_t* bytes, cudaLibrary_t library, const char* name, auto get) {
  return onContext([&] {
    CUdeviceptr found = 0;
    CUresult result = get(&found, bytes, library, name);
    if (result == CUDA_SUCCESS && pointer != nullptr) *pointer = reinterpret_cast<void*>(found);
    return result;
  });
}

}  // namespace

extern "C" {

cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void* code, cudaJitOption* jitOptions,
                                void** jitValues, unsigned int jitCount, cudaLibraryOption* options,
                                void** values, unsigned int count) {
  return onContext([&] {
    return driver::cuLibraryLoadData(library, code, jit(jitOptions), jitValues, jitCount, form(options),
                                     values, count);
  });
}

cudaError_t cudaLibraryLoadFromFile(cudaLibrary_t* library, const char* fileName, cudaJitOption* jitOptions,
                                    void** jitValues, unsigned int jitCount, cudaLibraryOption* options,
                                    void** values, unsigned int count) {
  return onContext([&] {
    return driver::cuLibraryLoadFromFile(library, fileName, jit(jitOptions), jitValues, jitCount,
                                         form(options), values, count);
  });
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
  return onContext([&] { return driver::cuLibraryUnload(library); });
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name) {
  return onContext([&] {
    CUresult result = driver::cuLibraryGetKernel(kernel, library, name);
    if (result == CUDA_SUCCESS) registry.addHandle(*kernel);
    return result;
  });
}

cudaError_t cudaLibraryGetKernelCount(unsigned int* count, cudaLibrary_t library) {
  return onContext([&] { return driver::cuLibraryGetKernelCount(count, library); });
}

cudaError_t cudaLibraryEnumerateKernels(cudaKernel_t* kernels, unsigned int count, cudaLibrary_t library) {
  return onContext([&] {
    unsigned present = 0;
    CUresult result = driver::cuLibraryGetKernelCount(&present, library);
    if (result == CUDA_SUCCESS) result = driver::cuLibraryEnumerateKernels(kernels, count, library);
    for (unsigned i = 0; result == CUDA_SUCCESS && i < count && i < present; ++i)
      registry.addHandle(kernels[i]);
    return result;
  });
}

cudaError_t cudaLibraryGetGlobal(void** pointer, size_t* bytes, cudaLibrary_t library, const char* name) {
  return address(pointer, bytes, library, name, driver::cuLibraryGetGlobal);
}

cudaError_t cudaLibraryGetManaged(void** pointer, size_t* bytes, cudaLibrary_t library, const char* name) {
  return address(pointer, bytes, library, name, driver::cuLibraryGetManaged);
}

}  // extern "C"
