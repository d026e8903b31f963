#include "cpu_driver/jit/compile.h"

#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>

#include <cstdlib>

#include "cpu_driver/jit/flatten.h"
#include "cpu_driver/jit/pipeline.h"

namespace vgpu::jit {
namespace {

constexpr unsigned kDefaultOptimization = 2;

using Outcome = std::variant<Compiled, CompileFailure>;

CompileFailure internalFailure(std::string log) {
  return {TranslateError::Kind::Unsupported, true, std::move(log)};
}

std::string brokenBecause(llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  return llvm::verifyModule(module, &stream) ? text : std::string();
}

// Bytes of all static allocas: what the frames of one call chain need at most, if none recurs.
uint32_t localBytes(const llvm::Module& module) {
  uint64_t bytes = 0;
  for (const llvm::Function& function : module) {
    for (const llvm::Instruction& instruction : llvm::instructions(function)) {
      const auto* alloca = llvm::dyn_cast<llvm::AllocaInst>(&instruction);
      if (!alloca || !alloca->isStaticAlloca()) continue;
      bytes += alloca->getAllocationSize(module.getDataLayout())
                   .value_or(llvm::TypeSize::getFixed(0))
                   .getFixedValue();
    }
  }
  return static_cast<uint32_t>(std::min<uint64_t>(bytes, 64u << 20));
}

void dumpIfAsked(const llvm::Module& module, const char* stage) {
  const char* folder = std::getenv("VGPU_JIT_DUMP");
  if (!folder) return;
  std::error_code error;
  llvm::raw_fd_ostream stream(std::string(folder) + "/" + stage + ".ll", error);
  if (!error) module.print(stream, nullptr);
}

Outcome finish(ThreadFunction& function, const Shape& shape, const Lowered& lowered,
               llvm::TargetMachine& machine, unsigned level, std::string remarks) {
  llvm::Module& module = *function.module;
  dumpIfAsked(module, "lowered");
  if (const std::string broken = brokenBecause(module); !broken.empty())
    return internalFailure("the form made invalid code: " + broken);
  adopt(module, machine);
  // Level 3 is asked for: everything LLVM has, at several times the compile time.
  if (lowered.form == kernel::Form::Loops && level < 3) {
    optimizeLoops(module, machine);
  } else {
    optimize(module, machine, level);
  }
  dumpIfAsked(module, "optimized");
  kernel::ImageHeader header;
  header.form = static_cast<uint32_t>(lowered.form);
  header.flags = lowered.flags;
  header.stackBytes = localBytes(module);
  header.scratchBytes = lowered.scratchBytes;
  header.staticSharedBytes = std::max(function.sharedBytes, function.dynamicSharedOffset);
  header.blockDim = lowered.block;
  header.steps = shape.steps;
  const auto object = emitObject(module, machine);
  auto image = flatten({object.data(), object.size()}, kEntryName, header);
  if (!image) return internalFailure(image.error().message());
  return Compiled{std::move(image.value()), std::move(remarks)};
}

struct Prepared {
  ThreadFunction function;
  Shape shape;
};

std::variant<Prepared, CompileFailure> prepare(llvm::LLVMContext& context, const ThreadFunctionSource& source,
                                               const FormOptions& options, llvm::TargetMachine& machine) {
  // Loops that could not be vectorised are no news to the user.
  context.setDiagnosticHandlerCallBack([](const llvm::DiagnosticInfo*, void*) {}, nullptr);
  auto translated = source(context);
  if (auto* error = std::get_if<TranslateError>(&translated))
    return CompileFailure{error->kind, false, error->log};
  Prepared prepared{std::move(std::get<ThreadFunction>(translated)), {}};
  llvm::Module& module = *prepared.function.module;
  if (const std::string broken = brokenBecause(module); !broken.empty())
    return internalFailure("the translator made invalid code: " + broken);
  dumpIfAsked(module, "thread");
  for (size_t i = 0; i < static_cast<size_t>(Marker::Count); ++i) marker(module, static_cast<Marker>(i));
  adopt(module, machine);
  simplify(module, machine);
  prepared.shape = prepareThreadFunction(prepared.function, options);
  return prepared;
}

}  // namespace

Outcome compileThreadFunction(const ThreadFunctionSource& source, const FormOptions& options) {
  const unsigned level = options.optimization == 0 ? kDefaultOptimization : options.optimization;
  const auto machine = hostMachine(level);
  std::string why = "fibers were asked for";
  if (options.form != kernel::Form::Fibers) {
    llvm::LLVMContext context;
    auto prepared = prepare(context, source, options, *machine);
    if (auto* failure = std::get_if<CompileFailure>(&prepared)) return *failure;
    auto& [function, shape] = std::get<Prepared>(prepared);
    why = shape.whyNotLoops;
    if (why.empty()) {
      if (auto lowered = lowerToLoops(function, options, *machine, why))
        return finish(function, shape, *lowered, *machine, level, "loops");
    }
    if (options.form == kernel::Form::Loops)
      return internalFailure("the loops form cannot take this kernel: " + why);
  }
  llvm::LLVMContext context;
  auto prepared = prepare(context, source, options, *machine);
  if (auto* failure = std::get_if<CompileFailure>(&prepared)) return *failure;
  auto& [function, shape] = std::get<Prepared>(prepared);
  Lowered lowered = lowerToFibers(function, options);
  if (shape.spins) lowered.flags |= kernel::kImageSpins;
  if (options.exactChecks) lowered.flags |= kernel::kImageExactChecks;
  return finish(function, shape, lowered, *machine, level, "fibers: " + why);
}

}  // namespace vgpu::jit
