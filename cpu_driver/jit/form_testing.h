// For tests and benches of the forms: compiles a thread function given as LLVM assembly and runs launches of
// it. Test process only; the launch's workers are threads of the test.
#pragma once

#include <llvm/AsmParser/Parser.h>
#include <llvm/Support/SourceMgr.h>

#include <string>
#include <thread>
#include <vector>

#include "cpu_driver/jit/compile.h"
#include "cpu_driver/kernel/fault.h"
#include "cpu_driver/kernel/runner.h"

namespace vgpu::jit::testing {

// Declarations of all markers, for text that follows.
inline const char* markerDeclarations() {
  return R"(
declare i32 @vgpu.tid.x()
declare i32 @vgpu.tid.y()
declare i32 @vgpu.tid.z()
declare i32 @vgpu.ntid.x()
declare i32 @vgpu.ntid.y()
declare i32 @vgpu.ctaid.x()
declare i32 @vgpu.ctaid.y()
declare i32 @vgpu.nctaid.x()
declare i32 @vgpu.laneid()
declare i32 @vgpu.warpid()
declare ptr @vgpu.shared.base()
declare ptr @vgpu.param.base()
declare i1 @vgpu.is.local(ptr)
declare i1 @vgpu.is.shared(ptr)
declare void @vgpu.barrier(i32, i32)
declare void @vgpu.barrier.arrive(i32, i32)
declare i32 @vgpu.barrier.reduce(i32, i32, i32, i1)
declare void @vgpu.warpsync(i32)
declare { i32, i1 } @vgpu.shfl(i32, i32, i32, i32, i32)
declare i32 @vgpu.vote(i32, i32, i1)
declare i32 @vgpu.match.any(i32, i64)
declare { i32, i1 } @vgpu.match.all(i32, i64)
declare i32 @vgpu.redux(i32, i32, i32)
declare i32 @vgpu.activemask()
declare void @vgpu.exit()
declare void @vgpu.trap()
declare void @vgpu.assertfail(ptr, ptr, i32, ptr)
declare i32 @vgpu.printf(ptr, ptr)
declare void @vgpu.nanosleep(i32)
declare float @llvm.fma.f32(float, float, float)
declare float @llvm.sqrt.f32(float)
)";
}

inline ThreadFunctionSource fromAssembly(std::string body, uint32_t sharedBytes = 0) {
  return [body = markerDeclarations() + std::move(body),
          sharedBytes](llvm::LLVMContext& context) -> std::variant<ThreadFunction, TranslateError> {
    llvm::SMDiagnostic diagnostic;
    auto module = llvm::parseAssemblyString(body, diagnostic, context);
    if (!module)
      return TranslateError{TranslateError::Kind::InvalidPtx, diagnostic.getMessage().str() + " at line " +
                                                                  std::to_string(diagnostic.getLineNo()) +
                                                                  ": " + diagnostic.getLineContents().str()};
    return ThreadFunction{std::move(module), "kernel", sharedBytes, sharedBytes};
  };
}

struct Built {
  std::shared_ptr<kernel::LoadedImage> image;
  std::vector<std::byte> blob;
  std::string log;
};

inline Built build(const ThreadFunctionSource& source, const FormOptions& options) {
  Built built;
  auto outcome = compileThreadFunction(source, options);
  if (auto* failure = std::get_if<CompileFailure>(&outcome)) {
    built.log = failure->log;
    return built;
  }
  auto& compiled = std::get<Compiled>(outcome);
  built.blob = std::move(compiled.image);
  built.log = compiled.remarks;
  auto loaded = kernel::loadImage(built.blob);
  if (loaded) {
    built.image = loaded.value();
  } else {
    built.log = loaded.error().message();
  }
  return built;
}

struct LaunchShape {
  kernel::Dim3 grid, block;
  uint32_t dynamicSharedBytes = 0;
  bool cooperative = false;
  unsigned workers = 1;
  const kernel::HostServices* services = nullptr;
};

// The first outcome that is not Done, or Done. `parameters` is the kernel's parameter block.
inline kernel::RunOutcome launch(const kernel::LoadedImage& image, const LaunchShape& shape,
                                 const void* parameters) {
  kernel::installFaultHandler();
  kernel::LaunchContext context;
  context.parameters = static_cast<const std::byte*>(parameters);
  context.grid = shape.grid;
  context.block = shape.block;
  context.dynamicSharedBytes = shape.dynamicSharedBytes;
  context.cooperative = shape.cooperative;
  context.multiprocessors = shape.workers;
  context.services = shape.services;
  context.prepare();
  std::vector<kernel::RunOutcome> outcomes(shape.workers);
  const auto work = [&](unsigned index) {
    kernel::ensureSignalStack();
    kernel::Runner runner(index);
    outcomes[index] = runner.run(image, context);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < shape.workers; ++i) threads.emplace_back(work, i);
  work(0);
  for (std::thread& thread : threads) thread.join();
  for (const auto& outcome : outcomes) {
    if (outcome.status != kernel::RunStatus::Done && outcome.status != kernel::RunStatus::Stopped)
      return outcome;
  }
  return outcomes[0];
}

}  // namespace vgpu::jit::testing
