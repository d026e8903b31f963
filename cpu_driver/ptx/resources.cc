// What a kernel needs: shared memory, local memory, the functions that it reaches.
#include <algorithm>
#include <set>

#include "cpu_driver/ptx/state.h"

namespace vgpu::ptx {
namespace {

// A processor has no register file of this kind: the figure is what a comparable kernel has, for occupancy.
// The most lets 1024 threads have 65,536 registers together.
constexpr uint32_t kFewestRegisters = 16, kMostRegisters = 64, kNamesPerRegister = 4;

class ResourceFinder {
 public:
  explicit ResourceFinder(const Module& module) : module_(module) {}

  std::optional<Diagnostic> reach(uint32_t root) {
    std::vector<uint32_t> work = {root};
    seen_.insert(root);
    while (!work.empty()) {
      uint32_t index = work.back();
      work.pop_back();
      auto parsed = module_.body(index);
      if (auto* failure = std::get_if<Diagnostic>(&parsed)) return *failure;
      const Body& body = *std::get<const Body*>(parsed);
      if (index != root) found_.functions.push_back(index);
      take(body);
      for (uint32_t next : calleesOf(body)) {
        if (seen_.insert(next).second) work.push_back(next);
      }
    }
    return std::nullopt;
  }

  Resources finish(const Function& kernel) {
    if (reserved_) {
      found_.reservedSharedOffset = uint32_t(alignUp(shared_, 128));
      shared_ = found_.reservedSharedOffset + kReservedSharedBytes;
    }
    found_.sharedBytes = uint32_t(shared_);
    std::sort(found_.functions.begin(), found_.functions.end());
    uint64_t dynamic = alignUp(shared_, dynamicAlignment_);
    for (SharedVariable& variable : found_.shared) {
      if (variable.variable->sizeBytes == 0) variable.offset = uint32_t(dynamic);
    }

    found_.dynamicSharedOffset = uint32_t(dynamic);
    uint32_t wanted = registers_ / kNamesPerRegister + kFewestRegisters;
    uint32_t limit = kernel.directives.maxRegisters ? kernel.directives.maxRegisters : kMostRegisters;
    found_.registers = std::min({wanted, limit, kMostRegisters});
    for (const Variable& variable : module_.variables()) {
      if (variable.space == Space::Const) found_.constBytes += uint32_t(variable.sizeBytes);
    }
    return std::move(found_);
  }

  bool tooMuch() const { return shared_ > UINT32_MAX / 2 || found_.localBytes > UINT32_MAX / 2; }

 private:
  static bool isReserved(SpecialRegister which) {
    return which == SpecialRegister::ReservedSmemBegin || which == SpecialRegister::ReservedSmem1 ||
           which == SpecialRegister::ReservedSmemEnd;
  }

  static uint64_t alignUp(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
  }

  // Direct callees and functions whose address is taken; all whose address is known if it calls indirectly.
  std::vector<uint32_t> calleesOf(const Body& body) {
    std::vector<uint32_t> callees;
    bool indirect = false;
    for (const Operand& operand : body.operands) {
      if (operand.kind == Operand::Kind::Function) addDefined(callees, operand.index);
    }
    for (const Instruction& instruction : body.instructions) {
      bool call = instruction.opcode == Opcode::Call;
      indirect |= call && body.operands[instruction.operands + 1].kind == Operand::Kind::Register;
    }
    if (indirect) {
      for (uint32_t target : module_.addressTaken()) addDefined(callees, target);
    }
    return callees;
  }

  void addDefined(std::vector<uint32_t>& callees, uint32_t index) {
    if (module_.functions()[index].defined && !module_.functions()[index].kernel) callees.push_back(index);
  }

  void take(const Body& body) {
    uint64_t local = 0;
    for (const Variable& variable : body.variables) {
      if (variable.space == Space::Shared) addShared(variable);
      if (variable.space == Space::Local) local = alignUp(local, variable.alignment) + variable.sizeBytes;
    }
    found_.localBytes = uint32_t(std::min<uint64_t>(UINT32_MAX, found_.localBytes + alignUp(local, 16)));
    for (const Operand& operand : body.operands) {
      reserved_ |= operand.kind == Operand::Kind::Special && isReserved(SpecialRegister(operand.index));
      if (operand.kind != Operand::Kind::ModuleVariable) continue;
      const Variable& variable = module_.variables()[operand.index];
      if (variable.space == Space::Shared && moduleShared_.insert(operand.index).second) addShared(variable);
    }
    uint32_t registers = 0;
    for (const Register& one : body.registers) registers += (sizeOf(one.type) + 3) / 4;
    registers_ = std::max(registers_, registers);
  }

  void addShared(const Variable& variable) {
    if (variable.sizeBytes == 0) {
      dynamicAlignment_ = std::max<uint64_t>(dynamicAlignment_, variable.alignment);
      found_.shared.push_back({&variable, 0});
      return;
    }
    shared_ = alignUp(shared_, variable.alignment);
    found_.shared.push_back({&variable, uint32_t(shared_)});
    shared_ = std::min<uint64_t>(shared_ + variable.sizeBytes, uint64_t{1} << 40);
  }

  const Module& module_;
  Resources found_;
  std::set<uint32_t> seen_, moduleShared_;
  uint64_t shared_ = 0, dynamicAlignment_ = 1;
  uint32_t registers_ = 0;
  bool reserved_ = false;
};

}  // namespace

std::variant<Resources, Diagnostic> Module::resources(uint32_t kernel) const {
  ResourceFinder finder(*this);
  if (auto failure = finder.reach(kernel)) return *failure;
  if (finder.tooMuch())
    return Diagnostic{functions()[kernel].line, "the kernel uses too much shared or local memory"};
  return finder.finish(functions()[kernel]);
}

// Functions whose address is taken anywhere, in variables or bodies: an indirect call may reach them. Parses
// all bodies.
const std::vector<uint32_t>& Module::addressTaken() const {
  std::call_once(state_->addressTakenOnce, [this] {
    std::set<uint32_t> taken;
    for (const Variable& variable : variables()) {
      for (const Relocation& relocation : variable.relocations) {
        if (relocation.function) taken.insert(relocation.target);
      }
    }
    for (uint32_t i = 0; i < functions().size(); ++i) {
      if (!functions()[i].defined) continue;
      auto parsed = body(i);
      const Body* const* body = std::get_if<const Body*>(&parsed);
      if (body == nullptr) continue;
      for (const Instruction& instruction : (*body)->instructions) {
        if (instruction.opcode == Opcode::Call) continue;
        for (uint32_t k = 0; k < instruction.operandCount; ++k) {
          const Operand& operand = (*body)->operands[instruction.operands + k];
          if (operand.kind == Operand::Kind::Function) taken.insert(operand.index);
        }
      }
    }
    state_->addressTaken.assign(taken.begin(), taken.end());
  });
  return state_->addressTaken;
}

}  // namespace vgpu::ptx
