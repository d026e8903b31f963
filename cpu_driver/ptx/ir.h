// A PTX module as data: variables, functions and their bodies. Made by module.h's load, then constant.
// Any thread may read it; the Module owns everything in it, string_views point into the text it keeps.
// The text is a tenant's and untrusted; whatever is here has been checked (indices are in range).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cpu_driver/ptx/types.h"

namespace vgpu::ptx {

constexpr uint32_t kNoIndex = UINT32_MAX;

enum class Linkage : uint8_t { Internal, Visible, Weak, Common, Extern };

// Bytes of a variable's initial value that hold an address, to be filled in by whoever places variables.
struct Relocation {
  uint32_t offset = 0;    // in the variable
  uint8_t sizeBytes = 8;  // 1 (with `shift`), 4 or 8
  uint8_t shift = 0;      // mask() forms such as 0xFF00(symbol) store (address >> shift)
  bool generic =
      false;  // generic(symbol); without it the address is in the variable's own space (the same value here)
  bool function = false;  // `target` is a function: store its id, functionId(target)
  uint32_t target = 0;    // index into Module::variables() or functions()
  int64_t addend = 0;
};

// A variable of module, function or call scope; also a parameter.
struct Variable {
  std::string_view name;
  Space space = Space::None;
  Type type = Type::None;  // of an element
  uint32_t line = 0;
  uint32_t alignment = 1;  // bytes, a power of two
  uint64_t sizeBytes = 0;  // 0 for `extern .shared name[]`
  uint64_t elements = 1;   // product of the dimensions and the vector width
  Linkage linkage = Linkage::Internal;
  bool managed = false;            // .attribute(.managed)
  bool array = false;              // declared with []
  uint64_t offset = 0;             // of a parameter in the parameter buffer
  std::vector<std::byte> initial;  // may be shorter than sizeBytes: the rest is zero
  std::vector<Relocation> relocations;
};

struct Register {
  std::string_view name;  // of a range %r<n>: the prefix
  Type type = Type::None;
  uint32_t number = 0;  // in a range; a vector register is as many entries as elements
};

// Special registers, by name without '%'.
enum class SpecialRegister : uint8_t {
#define PTX_SPECIAL_REGISTER(id, spelling, type) id,
#include "cpu_driver/ptx/special_registers.inc"
#undef PTX_SPECIAL_REGISTER
  Count
};

struct Operand {
  enum class Kind : uint8_t {
    Sink,            // '_'
    Register,        // `index`: Body::registers
    Integer,         // `bits`: the value, two's complement
    Float,           // `bits`: a double's bits, or with `single` (written 0f....) a float's 32 bits
    Special,         // `index`: SpecialRegister; for envreg, pm and the like `bits` is the number
    ModuleVariable,  // `index`: Module::variables; + `bits`
    LocalVariable,   // `index`: Body::variables (local, shared, param of call scope); + `bits`
    Parameter,       // `index`: Function::parameters; + `bits`
    Result,          // `index`: Function::results; + `bits`
    Function,        // `index`: Module::functions
    Label,           // `index`: Body::labels
    Targets,         // `index`: Body::targetLists (a .branchtargets or .calltargets)
    Prototype,       // `index`: Body::prototypes
    Vector,          // elements: Body::operands[index, index + count)
    Address,         // [base + bits]; base: Body::operands[index]; count 0: absolute, no base
    Texture,    // [object, {coordinates}] or [object, sampler, {..}]: Body::operands[index, index + count)
    Arguments,  // (a, b, ...) of a call: Body::operands[index, index + count)
  };
  Kind kind = Kind::Sink;
  bool negated = false;  // !p, or a negative register -a
  bool single = false;   // Float
  uint8_t selector = 0;  // for video instructions: 0x10 + byte, 0x20 + half; 0: all
  uint32_t index = 0;
  uint32_t count = 0;
  int64_t bits = 0;
};

// opcode.modifiers.types  operands. `d|p` is two operands with Instruction::paired set.
struct Instruction {
  Opcode opcode = Opcode::None;
  uint8_t modifierCount = 0;
  uint8_t typeCount = 0;
  bool guardNegated = false;
  bool paired = false;  // the first operand was `a|b`: operands 0 and 1
  uint8_t operandCount = 0;
  Space space = Space::None;    // the first state space named
  Space toSpace = Space::None;  // a second one (cp.async.shared.global)
  uint32_t guard = kNoIndex;    // register of @p
  uint32_t line = 0;
  uint32_t operands = 0;    // first of operandCount in Body::operands
  uint32_t textOffset = 0;  // of the opcode, in Module::text()
  Type types[4] = {};
  Modifier modifiers[8] = {};

  bool has(Modifier modifier) const {
    for (int i = 0; i < modifierCount; ++i) {
      if (modifiers[i] == modifier) return true;
    }
    return false;
  }
};

struct Label {
  std::string_view name;
  uint32_t instruction = kNoIndex;  // the one that follows it; == size() at the end
};

// The shape of a function for an indirect call.
struct Prototype {
  std::string_view name;
  std::vector<Variable> results, parameters;
  bool noReturn = false;
};

struct TargetList {
  std::string_view name;
  std::vector<uint32_t> targets;  // labels, or functions for .calltargets
  bool functions = false;
};

// Why a body cannot be translated although it is valid: the first instruction that is refused, by name.
struct Unsupported {
  uint32_t line = 0;
  std::string what;
};

struct Body {
  std::vector<Register> registers;  // those that are used, one entry each
  std::vector<Variable> variables;  // .local, .shared, and .param of call scopes
  std::vector<Instruction> instructions;
  std::vector<Operand> operands;
  std::vector<Label> labels;
  std::vector<TargetList> targetLists;
  std::vector<Prototype> prototypes;
  std::vector<uint32_t> parameterRegisters,
      resultRegisters;  // by parameter: of .reg parameters, else kNoIndex
  std::optional<Unsupported> unsupported;
};

struct Directives {
  uint32_t maxThreads[3] = {0, 0, 0};       // .maxntid; zero: not given
  uint32_t requiredThreads[3] = {0, 0, 0};  // .reqntid
  uint32_t minBlocksPerMultiprocessor = 0;  // .minnctapersm
  uint32_t maxRegisters = 0;                // .maxnreg
  uint32_t requiredCluster[3] = {0, 0, 0};  // .reqnctapercluster
  uint32_t maxClusterRank = 0;
  bool explicitCluster = false;
  bool noReturn = false;  // .noreturn
};

// A kernel (.entry) or a device function (.func).
struct Function {
  std::string_view name;
  bool kernel = false;
  bool defined = false;  // has a body in this module
  Linkage linkage = Linkage::Internal;
  uint32_t line = 0;
  std::vector<Variable>
      parameters;  // Variable::offset: place in the parameter buffer, natural alignment, in order
  std::vector<Variable> results;
  uint64_t parameterBytes = 0;  // end of the last parameter
  Directives directives;
  uint32_t bodyBegin = 0, bodyEnd = 0;  // byte range of the body in the text, between the braces
  uint32_t bodyLine = 0;
};

// The value of a function's address in memory and registers: small, never 0, not a code address.
constexpr uint64_t functionId(uint32_t functionIndex) { return uint64_t{functionIndex} + 1; }

}  // namespace vgpu::ptx
