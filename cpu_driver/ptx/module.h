// Loading a PTX module. The driver does it in cuModuleLoad's thread; libvgpu-jit.so again, for one kernel,
// when it compiles. A Module owns its text and everything parsed from it; it is constant but for bodies,
// which are parsed once, under a lock of their own, so any thread may use it. The text is untrusted: errors
// are Diagnostics, never a crash or a hang.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "cpu_driver/ptx/ir.h"

namespace vgpu::ptx {

// One error, as the JIT error log shows it: "ptx, line 12: error: ..." (PTX ISA has no grammar for it;
// ptxas's form).
struct Diagnostic {
  uint32_t line = 0;
  std::string reason;
  std::string message() const;
};

enum class BodyParsing {
  Auto,   // at load up to kEagerTextBytes of text, later when first used for more
  Eager,  // all at load
  Lazy,   // none at load
};
constexpr size_t kEagerTextBytes = 4u << 20;

// What the system keeps of a block's shared memory for cooperative groups of several warps.
constexpr uint32_t kReservedSharedBytes = 1024;

class Module;
using LoadResult = std::variant<std::shared_ptr<const Module>, Diagnostic>;

// `text` may end in zero bytes (as in fat binaries). It is copied.
LoadResult load(std::string_view text, BodyParsing bodies = BodyParsing::Auto);

// A kernel's needs: itself and every device function it can reach (through addresses too). See resources().
struct SharedVariable {
  const Variable* variable = nullptr;
  uint32_t offset = 0;
};
struct Resources {
  uint32_t sharedBytes = 0;          // static shared memory: cuFuncGetAttribute SHARED_SIZE_BYTES
  uint32_t dynamicSharedOffset = 0;  // where extern .shared arrays begin
  uint32_t reservedSharedOffset =
      0;                    // of kReservedSharedBytes within sharedBytes, if %reserved_smem_offset_* is used
  uint32_t localBytes = 0;  // of the deepest chain of .local variables, recursion counted once
  uint32_t constBytes = 0;  // all .const variables of the module
  uint32_t registers = 0;   // an estimate of 32-bit registers, as NUM_REGS; 1 to 255
  std::vector<SharedVariable> shared;
  std::vector<uint32_t> functions;  // reached device functions, indices; the kernel is not among them
};

class Module {
 public:
  ~Module();
  std::string_view text() const;
  uint32_t versionMajor() const, versionMinor() const;
  std::string_view target() const;  // "sm_80"
  uint32_t targetNumber() const;    // 80
  uint32_t addressBits() const;     // 64
  bool debug() const;               // .target ..., debug

  // All variables of module scope: .global, .const, .shared, texture references. The index is that of
  // Marker::Symbol and of LaunchContext::symbols; entries for .shared variables there are unused.
  const std::vector<Variable>& variables() const;
  const std::vector<Function>& functions() const;  // kernels and device functions, in order of first mention
  uint32_t findVariable(std::string_view name) const;  // kNoIndex: none
  uint32_t findFunction(std::string_view name) const;
  uint32_t findKernel(std::string_view name) const;

  // The body of a defined function, parsed and type-checked on first use. A body that is valid but uses an
  // instruction that is not supported has Body::unsupported set.
  std::variant<const Body*, Diagnostic> body(uint32_t function) const;
  std::variant<Resources, Diagnostic> resources(uint32_t kernel) const;

  // Functions whose address is taken anywhere in the module: what an indirect call may reach. Parses all
  // bodies.
  const std::vector<uint32_t>& addressTaken() const;

  struct State;
  explicit Module(std::unique_ptr<State> state);
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace vgpu::ptx
