#include "cpu_driver/jit/compiler.h"

#include <new>
#include <string>

#include "cpu_driver/jit/compile.h"

namespace {

struct Held {
  std::vector<std::byte> image;
  std::string log;
};

VgpuJitStatus statusOf(const vgpu::jit::CompileFailure& failure) {
  using Kind = vgpu::jit::TranslateError::Kind;
  if (failure.internal) return kVgpuJitFailed;
  switch (failure.kind) {
    case Kind::InvalidPtx:
      return kVgpuJitInvalidPtx;
    case Kind::NotFound:
      return kVgpuJitNotFound;
    default:
      return kVgpuJitUnsupported;
  }
}

VgpuJitStatus compileInto(Held& held, const VgpuJitRequest& request) {
  if (request.version != kVgpuJitVersion || request.form > uint32_t(vgpu::kernel::Form::Fibers)) {
    held.log = "the driver and libvgpu-jit.so are of different versions";
    return kVgpuJitFailed;
  }
  vgpu::jit::FormOptions options;
  options.form = static_cast<vgpu::kernel::Form>(request.form);
  options.block = {request.blockDim[0], request.blockDim[1], request.blockDim[2]};
  options.exactChecks = request.exactChecks != 0;
  options.optimization = request.optimization;
  const std::string_view ptx(request.ptx, request.ptxBytes), kernel(request.kernel);
  auto outcome = vgpu::jit::compileThreadFunction(
      [&](llvm::LLVMContext& context) { return vgpu::jit::translateKernel(context, ptx, kernel); }, options);
  if (auto* failure = std::get_if<vgpu::jit::CompileFailure>(&outcome)) {
    held.log = std::move(failure->log);
    return statusOf(*failure);
  }
  auto& compiled = std::get<vgpu::jit::Compiled>(outcome);
  held.image = std::move(compiled.image);
  held.log = std::move(compiled.remarks);
  return kVgpuJitOk;
}

}  // namespace

VgpuJitAnswer vgpuJitCompile(const VgpuJitRequest* request) {
  auto* held = new Held;
  VgpuJitAnswer answer = {};
  answer.handle = held;
  answer.status = compileInto(*held, *request);
  answer.image = reinterpret_cast<const unsigned char*>(held->image.data());
  answer.imageBytes = held->image.size();
  answer.log = held->log.c_str();
  return answer;
}

void vgpuJitRelease(VgpuJitAnswer* answer) {
  delete static_cast<Held*>(answer->handle);
  *answer = {};
}
