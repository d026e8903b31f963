#include "cpu_driver/runtime/image_maker.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "base/log.h"
#include "cpu_driver/jit/compiler.h"
#include "cpu_driver/kernel/cache.h"
#include "cpu_driver/runtime/configuration.h"

namespace vgpu::cpu {
namespace {

struct Compiler {
  VgpuJitCompileFunction compile = nullptr;
  VgpuJitReleaseFunction release = nullptr;
  std::string error;
};

std::string ownFolder() {
  Dl_info info;
  if (::dladdr(reinterpret_cast<void*>(&ownFolder), &info) == 0 || !info.dli_fname) return {};
  // Programs find this library through a link named libcuda.so.1, in a folder of its own.
  char* resolved = ::realpath(info.dli_fname, nullptr);
  const std::string path = resolved ? resolved : info.dli_fname;
  std::free(resolved);
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

Compiler openCompiler() {
  Compiler compiler;
  const char* configured = std::getenv("VGPU_CPU_JIT");
  const std::string path = configured ? configured : ownFolder() + "libvgpu-jit.so";
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    compiler.error = std::string("the compiler cannot be loaded: ") + ::dlerror();
    return compiler;
  }
  compiler.compile = reinterpret_cast<VgpuJitCompileFunction>(::dlsym(library, "vgpuJitCompile"));
  compiler.release = reinterpret_cast<VgpuJitReleaseFunction>(::dlsym(library, "vgpuJitRelease"));
  if (!compiler.compile || !compiler.release) compiler.error = path + " is not this project's compiler";
  return compiler;
}

const Compiler& compiler() {
  static const Compiler kCompiler = openCompiler();
  return kCompiler;
}

CUresult codeOf(uint32_t status) {
  switch (status) {
    case kVgpuJitInvalidPtx:
      return CUDA_ERROR_INVALID_PTX;
    case kVgpuJitUnsupported:
      return CUDA_ERROR_NOT_SUPPORTED;
    case kVgpuJitNotFound:
      return CUDA_ERROR_NOT_FOUND;
    default:
      return CUDA_ERROR_UNKNOWN;
  }
}

VgpuJitRequest requestFor(const KernelCode& code, kernel::Dim3 block) {
  VgpuJitRequest request{};
  request.version = kVgpuJitVersion;
  request.form = static_cast<uint32_t>(configuration().form);
  request.ptx = code.module().text().data();
  request.ptxBytes = code.module().text().size();
  request.kernel = code.name();
  request.blockDim[0] = block.x;
  request.blockDim[1] = block.y;
  request.blockDim[2] = block.z;
  request.exactChecks = configuration().exactChecks ? 1 : 0;
  return request;
}

const kernel::ImageCache& cache() {
  static const kernel::ImageCache kCache(configuration().cacheDirectory);
  return kCache;
}

Failure load(std::span<const std::byte> blob, std::shared_ptr<kernel::LoadedImage>* image) {
  auto loaded = kernel::loadImage(blob);
  if (!loaded) return {CUDA_ERROR_INVALID_IMAGE, loaded.error().message()};
  *image = std::move(*loaded);
  return {};
}

}  // namespace

Failure makeImage(const KernelCode& code, const kernel::Digest& module, kernel::Dim3 block,
                  std::shared_ptr<kernel::LoadedImage>* image) {
  const kernel::CacheKey key{module, code.name(), block, configuration().form, configuration().exactChecks};
  if (const auto kept = cache().find(key)) {
    if (load(*kept, image).code == CUDA_SUCCESS) return {};
  }
  if (!compiler().error.empty()) return {CUDA_ERROR_JIT_COMPILER_NOT_FOUND, compiler().error};
  VgpuJitRequest request = requestFor(code, block);
  VgpuJitAnswer answer = compiler().compile(&request);
  if (answer.status == kVgpuJitFailed && configuration().form != kernel::Form::Auto) {
    // A form that is asked for and cannot take the kernel gives way to the one that can.
    log::info("cpu driver: another form is used", {{"kernel", code.name()}, {"reason", answer.log}});
    compiler().release(&answer);
    request.form = static_cast<uint32_t>(kernel::Form::Auto);
    answer = compiler().compile(&request);
  }
  Failure failure;
  if (answer.status != kVgpuJitOk) {
    failure = {codeOf(answer.status), answer.log};
  } else {
    const std::span blob(reinterpret_cast<const std::byte*>(answer.image), answer.imageBytes);
    failure = load(blob, image);
    if (failure.code == CUDA_SUCCESS) cache().put(key, blob);
  }
  compiler().release(&answer);
  return failure;
}

}  // namespace vgpu::cpu
