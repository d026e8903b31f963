#include "cpu_driver/runtime/module.h"

#include <cstring>

#include "cpu_driver/api/entry.h"
#include "cpu_driver/runtime/jit_options.h"

using namespace vgpu::cpu;

namespace {

// Places a module of code that was loaded, or says in the error log why there is none.
CUresult finish(Context& context, Failure failure, std::shared_ptr<ModuleCode> code, JitOptions& options,
                CUmodule* handle) {
  if (failure.code == CUDA_SUCCESS) {
    auto module = std::make_shared<Module>(context, std::move(code));
    failure = module->place();
    if (failure.code == CUDA_SUCCESS) {
      Module& made = *module;
      *handle = driver().modules.insert(std::move(module));
      made.setHandle(*handle);
      return CUDA_SUCCESS;
    }
  }
  options.writeError(failure.log);
  return failure.code;
}

CUresult load(CUmodule* module, const void* image, JitOptions options) {
  return withContextUncaptured([&](Context& context) {
    if (!module || !image) return CUDA_ERROR_INVALID_VALUE;
    if (options.check() != CUDA_SUCCESS) return options.check();
    std::shared_ptr<ModuleCode> code;
    const Failure failure = loadCode(image, &code);
    return finish(context, failure, std::move(code), options, module);
  });
}

template <class Body>
CUresult withModule(CUmodule handle, Body&& body) {
  return withContext([&](Context&) -> CUresult {
    Module* module = driver().modules.find(handle);
    return module ? body(*module) : CUDA_ERROR_INVALID_HANDLE;
  });
}

}  // namespace

extern "C" {

CUresult cuModuleLoad(CUmodule* handle, const char* path) {
  return withContextUncaptured([&](Context& context) {
    if (!handle || !path) return CUDA_ERROR_INVALID_VALUE;
    JitOptions options(0, nullptr, nullptr);
    std::shared_ptr<ModuleCode> code;
    const Failure failure = loadCodeFromFile(path, &code);
    return finish(context, failure, std::move(code), options, handle);
  });
}

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return load(module, image, JitOptions(0, nullptr, nullptr));
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, CUjit_option* options,
                            void** values) {
  return load(module, image, JitOptions(count, options, values));
}

CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return load(module, image, JitOptions(0, nullptr, nullptr));
}

CUresult cuModuleUnload(CUmodule handle) {
  return withContextUncaptured([&](Context&) {
    Module* module = driver().modules.find(handle);
    if (!module) return CUDA_ERROR_INVALID_HANDLE;
    module->context().synchronize();
    driver().modules.remove(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  return withDriver([&] {
    if (!mode) return CUDA_ERROR_INVALID_VALUE;
    *mode = CU_MODULE_LAZY_LOADING;
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule handle, const char* name) {
  return withModule(handle, [&](Module& module) {
    if (!function || !name) return CUDA_ERROR_INVALID_VALUE;
    *function = module.function(name);
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
  });
}

CUresult cuModuleGetFunctionCount(unsigned* count, CUmodule handle) {
  return withModule(handle, [&](Module& module) {
    if (!count) return CUDA_ERROR_INVALID_VALUE;
    *count = static_cast<unsigned>(module.code().kernels().size());
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned count, CUmodule handle) {
  return withModule(handle, [&](Module& module) {
    if (!functions || count == 0) return CUDA_ERROR_INVALID_VALUE;
    const auto all = module.functions();
    for (size_t i = 0; i < count && i < all.size(); ++i) functions[i] = all[i];
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule handle, const char* name) {
  return withModule(handle, [&](Module& module) {
    if (!name || (!address && !bytes)) return CUDA_ERROR_INVALID_VALUE;
    return module.variable(name, address, bytes) ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
  });
}

// Texture and surface references went with CUDA 12; their PTX form is not in what its compilers write.
CUresult cuModuleGetTexRef(CUtexref*, CUmodule handle, const char*) {
  return withModule(handle, [](Module&) { return CUDA_ERROR_NOT_SUPPORTED; });
}
CUresult cuModuleGetSurfRef(CUsurfref*, CUmodule handle, const char*) {
  return withModule(handle, [](Module&) { return CUDA_ERROR_NOT_SUPPORTED; });
}

CUresult cuLinkCreate_v2(unsigned count, CUjit_option* options, void** values, CUlinkState* state) {
  return withContext([&](Context&) {
    if (!state) return CUDA_ERROR_INVALID_VALUE;
    JitOptions parsed(count, options, values);
    if (parsed.check() != CUDA_SUCCESS) return parsed.check();
    *state = driver().links.insert(std::make_shared<LinkState>(parsed));
    return CUDA_SUCCESS;
  });
}
CUresult cuLinkCreate(unsigned count, CUjit_option* options, void** values, CUlinkState* state) {
  return cuLinkCreate_v2(count, options, values, state);
}

CUresult cuLinkAddData_v2(CUlinkState handle, CUjitInputType type, void* data, size_t bytes, const char* name,
                          unsigned, CUjit_option*, void**) {
  return withContext([&](Context&) {
    LinkState* state = driver().links.find(handle);
    if (!state) return CUDA_ERROR_INVALID_HANDLE;
    if (!data) return CUDA_ERROR_INVALID_VALUE;
    return state->add(type, {static_cast<const char*>(data), bytes}, name);
  });
}
CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void* data, size_t bytes, const char* name,
                       unsigned count, CUjit_option* options, void** values) {
  return cuLinkAddData_v2(state, type, data, bytes, name, count, options, values);
}

CUresult cuLinkAddFile_v2(CUlinkState handle, CUjitInputType type, const char* path, unsigned, CUjit_option*,
                          void**) {
  return withContext([&](Context&) {
    LinkState* state = driver().links.find(handle);
    if (!state) return CUDA_ERROR_INVALID_HANDLE;
    return path ? state->addFile(type, path) : CUDA_ERROR_INVALID_VALUE;
  });
}
CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char* path, unsigned count,
                       CUjit_option* options, void** values) {
  return cuLinkAddFile_v2(state, type, path, count, options, values);
}

CUresult cuLinkComplete(CUlinkState handle, void** image, size_t* bytes) {
  return withContext([&](Context&) {
    LinkState* state = driver().links.find(handle);
    if (!state) return CUDA_ERROR_INVALID_HANDLE;
    return image ? state->complete(image, bytes) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuLinkDestroy(CUlinkState handle) {
  return withContext(
      [&](Context&) { return driver().links.remove(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; });
}

}  // extern "C"
