// For tests: a PTX kernel translated, compiled by LLVM's own JIT and run as one thread, with a parameter
// block and shared memory that the test gives. Markers other than addresses end the test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/TargetSelect.h>

#include <array>
#include <cstring>

#include "cpu_driver/jit/translate_interface.h"
#include "cpu_driver/kernel/abi.h"

namespace vgpu::jit::testing {

inline thread_local const void* parameters = nullptr;
alignas(kernel::kSharedAlignment) inline thread_local std::array<std::byte, 4096> shared{};

inline const void* paramBase() { return parameters; }
inline void* sharedBase() { return shared.data(); }
inline uint32_t fixedRegister() { return 7; }
[[noreturn]] inline void trapped() { std::abort(); }

class Program {
 public:
  explicit Program(std::string_view ptx) {
    static const bool ready = !llvm::InitializeNativeTarget() && !llvm::InitializeNativeTargetAsmPrinter();
    EXPECT_TRUE(ready);
    auto context = std::make_unique<llvm::LLVMContext>();
    auto outcome = translateKernel(*context, ptx, "test");
    if (auto* error = std::get_if<TranslateError>(&outcome)) {
      log_ = error->log;
      kind_ = error->kind;
      return;
    }
    auto& function = std::get<ThreadFunction>(outcome);
    auto target = llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
    jit_ = llvm::cantFail(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(target).create());
    function.module->setDataLayout(jit_->getDataLayout());
    llvm::orc::SymbolMap symbols;
    auto define = [&](const char* name, auto* address) {
      symbols[jit_->mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(address),
                                              llvm::JITSymbolFlags::Exported};
    };
    define("vgpu.param.base", &paramBase);
    define("vgpu.shared.base", &sharedBase);
    define("vgpu.laneid", &fixedRegister);
    define("vgpu.trap", &trapped);
    llvm::cantFail(jit_->getMainJITDylib().define(llvm::orc::absoluteSymbols(symbols)));
    std::string entry = function.entry;
    llvm::cantFail(jit_->addIRModule({std::move(function.module), std::move(context)}));
    run_ = llvm::cantFail(jit_->lookup(entry)).toPtr<void(void*)>();
  }

  bool ok() const { return run_ != nullptr; }
  const std::string& log() const { return log_; }
  TranslateError::Kind kind() const { return kind_; }
  void run(const void* block) const {
    parameters = block;
    run_(nullptr);
  }

 private:
  std::unique_ptr<llvm::orc::LLJIT> jit_;
  void (*run_)(void*) = nullptr;
  std::string log_;
  TranslateError::Kind kind_{};
};

// A kernel with `body` between the loading of %rd1 (inputs) and %rd2 (outputs).
inline std::string kernel(std::string_view body, std::string_view declarations = {}) {
  std::string text = ".version 8.6\n.target sm_90\n.address_size 64\n";
  text += declarations;
  text +=
      ".visible .entry test(.param .u64 in, .param .u64 out)\n{\n"
      ".reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .f32 %f<9>; .reg .f64 "
      "%fd<9>;\n"
      "ld.param.u64 %rd1, [in];\nld.param.u64 %rd2, [out];\n";
  text += body;
  return text + "\nret;\n}\n";
}

// One instruction on values: `code` reads a, b, c (declared of types by the caller's letters) and writes d.
// Letters: h 16 bits, r 32, l 64, f f32, d f64, p a predicate as u32 0 or 1.
class Operation {
 public:
  Operation(std::string_view letters, std::string_view code) : program_(text(letters, code)) {
    EXPECT_TRUE(program_.ok()) << code << ": " << program_.log();
  }

  template <class Result, class... Arguments>
  Result operator()(Arguments... arguments) const {
    alignas(16) std::array<uint64_t, 8> inputs{};
    size_t at = 0;
    (std::memcpy(&inputs[at++], &arguments, sizeof(arguments)), ...);
    alignas(16) std::array<uint64_t, 2> outputs{};
    const void* block[2] = {inputs.data(), outputs.data()};
    if (program_.ok()) program_.run(block);
    Result result;
    std::memcpy(&result, outputs.data(), sizeof(result));
    return result;
  }

 private:
  static std::string_view typeOf(char letter) {
    switch (letter) {
      case 'h':
        return "b16";
      case 'l':
        return "b64";
      case 'f':
        return "f32";
      case 'd':
        return "f64";
      default:
        return "b32";
    }
  }

  // letters[0] is the result.
  static std::string text(std::string_view letters, std::string_view code) {
    std::string body;
    for (size_t k = 0; k < letters.size(); ++k) {
      std::string name(1, k == 0 ? 'd' : char('a' + k - 1));
      if (k > 0 && name == "d") name = "e";
      std::string type(typeOf(letters[k]));
      bool predicate = letters[k] == 'p';
      std::string own = predicate ? name + "_bits" : name;
      body += ".reg ." + type + " " + own + ";\n";
      if (predicate) body += ".reg .pred " + name + ";\n";
      if (k == 0) continue;
      body += "ld.global." + type + " " + own + ", [%rd1+" + std::to_string(8 * (k - 1)) + "];\n";
      if (predicate) body += "setp.ne.u32 " + name + ", " + own + ", 0;\n";
    }
    body += std::string(code) + "\n";
    if (letters[0] == 'p')
      body += "selp.u32 d_bits, 1, 0, d;\nst.global.b32 [%rd2], d_bits;\n";
    else
      body += "st.global." + std::string(typeOf(letters[0])) + " [%rd2], d;\n";
    return kernel(body);
  }

  Program program_;
};

}  // namespace vgpu::jit::testing
