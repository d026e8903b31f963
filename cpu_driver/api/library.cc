#include "cpu_driver/runtime/library.h"

#include "cpu_driver/api/entry.h"
#include "cpu_driver/runtime/jit_options.h"

using namespace vgpu::cpu;

namespace {

CUresult finish(const Failure& failure, std::shared_ptr<ModuleCode> code, JitOptions& options,
                CUlibrary* handle) {
  if (failure.code != CUDA_SUCCESS) {
    options.writeError(failure.log);
    return failure.code;
  }
  auto library = std::make_shared<Library>(std::move(code));
  Library& made = *library;
  *handle = driver().libraries.insert(std::move(library));
  made.setHandle(*handle);
  return CUDA_SUCCESS;
}

template <class Body>
CUresult withLibrary(CUlibrary handle, Body&& body) {
  return withDriver([&]() -> CUresult {
    Library* library = driver().libraries.find(handle);
    return library ? body(*library) : CUDA_ERROR_INVALID_HANDLE;
  });
}

template <class Body>
CUresult withKernel(CUkernel handle, Body&& body) {
  return withDriver([&]() -> CUresult {
    Kernel* kernel = driver().kernels.find(handle);
    return kernel ? body(*kernel) : CUDA_ERROR_INVALID_HANDLE;
  });
}

// A global of the library in the current context.
CUresult variable(CUlibrary handle, const char* name, CUdeviceptr* address, size_t* bytes, bool managedOnly) {
  return withContext([&](Context& context) -> CUresult {
    Library* library = driver().libraries.find(handle);
    if (!library) return CUDA_ERROR_INVALID_HANDLE;
    if (!name) return CUDA_ERROR_INVALID_VALUE;
    CUmodule moduleHandle = nullptr;
    if (const CUresult result = library->moduleIn(context, &moduleHandle); result != CUDA_SUCCESS)
      return result;
    Module* module = driver().modules.find(moduleHandle);
    return module && module->variable(name, address, bytes, managedOnly) ? CUDA_SUCCESS
                                                                         : CUDA_ERROR_NOT_FOUND;
  });
}

// The function of a kernel in the current context, or in the device's primary one where none is current.
CUresult functionOf(Kernel& kernel, Function** function) {
  Context* context = nullptr;
  if (const CUresult error = enter(&context); error != CUDA_SUCCESS) return error;
  CUresult error = CUDA_SUCCESS;
  *function = kernel.functionIn(*context, &error);
  return error;
}

}  // namespace

extern "C" {

CUresult cuLibraryLoadData(CUlibrary* library, const void* image, CUjit_option* jitOptions, void** jitValues,
                           unsigned jitCount, CUlibraryOption*, void**, unsigned) {
  return withDriver([&] {
    if (!library || !image) return CUDA_ERROR_INVALID_VALUE;
    JitOptions options(jitCount, jitOptions, jitValues);
    if (options.check() != CUDA_SUCCESS) return options.check();
    std::shared_ptr<ModuleCode> code;
    const Failure failure = loadCode(image, &code);
    return finish(failure, std::move(code), options, library);
  });
}

CUresult cuLibraryLoadFromFile(CUlibrary* library, const char* path, CUjit_option* jitOptions,
                               void** jitValues, unsigned jitCount, CUlibraryOption*, void**, unsigned) {
  return withDriver([&] {
    if (!library || !path) return CUDA_ERROR_INVALID_VALUE;
    JitOptions options(jitCount, jitOptions, jitValues);
    if (options.check() != CUDA_SUCCESS) return options.check();
    std::shared_ptr<ModuleCode> code;
    const Failure failure = loadCodeFromFile(path, &code);
    return finish(failure, std::move(code), options, library);
  });
}

CUresult cuLibraryUnload(CUlibrary handle) {
  return withLibrary(handle, [&](Library& library) {
    library.synchronize();
    driver().libraries.remove(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary handle, const char* name) {
  return withLibrary(handle, [&](Library& library) {
    if (!kernel || !name) return CUDA_ERROR_INVALID_VALUE;
    *kernel = library.kernel(name);
    return *kernel ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
  });
}

CUresult cuLibraryGetKernelCount(unsigned* count, CUlibrary handle) {
  return withLibrary(handle, [&](Library& library) {
    if (!count) return CUDA_ERROR_INVALID_VALUE;
    *count = static_cast<unsigned>(library.code().kernels().size());
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryEnumerateKernels(CUkernel* kernels, unsigned count, CUlibrary handle) {
  return withLibrary(handle, [&](Library& library) {
    if (!kernels || count == 0) return CUDA_ERROR_INVALID_VALUE;
    const auto all = library.kernels();
    for (size_t i = 0; i < count && i < all.size(); ++i) kernels[i] = all[i];
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryGetModule(CUmodule* module, CUlibrary handle) {
  return withContext([&](Context& context) {
    Library* library = driver().libraries.find(handle);
    if (!library) return CUDA_ERROR_INVALID_HANDLE;
    return module ? library->moduleIn(context, module) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuLibraryGetGlobal(CUdeviceptr* address, size_t* bytes, CUlibrary library, const char* name) {
  return variable(library, name, address, bytes, false);
}

CUresult cuLibraryGetManaged(CUdeviceptr* address, size_t* bytes, CUlibrary library, const char* name) {
  return variable(library, name, address, bytes, true);
}

// Functions that host and device share: CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS says 0.
CUresult cuLibraryGetUnifiedFunction(void**, CUlibrary handle, const char*) {
  return withLibrary(handle, [](Library&) { return CUDA_ERROR_NOT_FOUND; });
}

CUresult cuKernelGetFunction(CUfunction* result, CUkernel handle) {
  return withKernel(handle, [&](Kernel& kernel) {
    if (!result) return CUDA_ERROR_INVALID_VALUE;
    Function* function = nullptr;
    const CUresult error = functionOf(kernel, &function);
    if (error == CUDA_SUCCESS) *result = function->handle();
    return error;
  });
}

CUresult cuKernelGetLibrary(CUlibrary* library, CUkernel handle) {
  return withKernel(handle, [&](Kernel& kernel) {
    if (!library) return CUDA_ERROR_INVALID_VALUE;
    *library = kernel.library().handle();
    return CUDA_SUCCESS;
  });
}

CUresult cuKernelGetName(const char** name, CUkernel handle) {
  return withKernel(handle, [&](Kernel& kernel) {
    if (!name) return CUDA_ERROR_INVALID_VALUE;
    *name = kernel.code().name();
    return CUDA_SUCCESS;
  });
}

CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t* offset, size_t* bytes) {
  return withKernel(handle, [&](Kernel& kernel) {
    const auto& parameters = kernel.code().parameters();
    if (!offset || index >= parameters.size()) return CUDA_ERROR_INVALID_VALUE;
    *offset = parameters[index].offset;
    if (bytes) *bytes = parameters[index].sizeBytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuKernelGetAttribute(int* value, CUfunction_attribute attribute, CUkernel handle, CUdevice device) {
  return withKernel(handle, [&](Kernel& kernel) -> CUresult {
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    return kernel.attribute(attribute, value);
  });
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle, CUdevice device) {
  return withKernel(handle, [&](Kernel& kernel) -> CUresult {
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    return kernel.setAttribute(attribute, value);
  });
}

CUresult cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache config, CUdevice device) {
  return withKernel(handle, [&](Kernel&) {
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    if (config < CU_FUNC_CACHE_PREFER_NONE || config > CU_FUNC_CACHE_PREFER_EQUAL)
      return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
