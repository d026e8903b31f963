#include "cpu_driver/ptx/module.h"

#include "cpu_driver/ptx/body_parser.h"
#include "cpu_driver/ptx/module_parser.h"
#include "cpu_driver/ptx/state.h"

namespace vgpu::ptx {
namespace {

// Offsets in the text are 32 bits.
constexpr size_t kMaxTextBytes = size_t{4} << 30;

std::string_view withoutTrailingZeros(std::string_view text) {
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  return text;
}

void parseSlot(const Module::State& state, uint32_t function, BodySlot& slot) {
  BodyParser parser(state, state.functions[function], slot.body);
  slot.failure = parser.parse();
  if (slot.failure) slot.body = Body{};
}

}  // namespace

std::string Diagnostic::message() const { return "ptx, line " + std::to_string(line) + ": error: " + reason; }

LoadResult load(std::string_view text, BodyParsing bodies) {
  text = withoutTrailingZeros(text);
  if (text.size() >= kMaxTextBytes) return Diagnostic{0, "the module has 4 GiB of text or more"};
  if (size_t zero = text.find('\0'); zero != std::string_view::npos) {
    // Several strings in one buffer: what counts is the first, as for any C string.
    text = text.substr(0, zero);
  }
  auto state = std::make_unique<Module::State>();
  state->text = text;
  if (auto failure = ModuleParser(*state).parse()) return *failure;
  for (const Function& function : state->functions) {
    state->bodies.push_back(function.defined ? std::make_unique<BodySlot>() : nullptr);
  }
  auto module = std::make_shared<const Module>(std::move(state));
  bool eager =
      bodies == BodyParsing::Eager || (bodies == BodyParsing::Auto && text.size() <= kEagerTextBytes);
  for (uint32_t i = 0; eager && i < module->functions().size(); ++i) {
    if (!module->functions()[i].defined) continue;
    auto body = module->body(i);
    if (auto* failure = std::get_if<Diagnostic>(&body)) return *failure;
  }
  return module;
}

Module::Module(std::unique_ptr<State> state) : state_(std::move(state)) {}
Module::~Module() = default;

std::string_view Module::text() const { return state_->text; }
uint32_t Module::versionMajor() const { return state_->versionMajor; }
uint32_t Module::versionMinor() const { return state_->versionMinor; }
std::string_view Module::target() const { return state_->target; }
uint32_t Module::targetNumber() const { return state_->targetNumber; }
uint32_t Module::addressBits() const { return state_->addressBits; }
bool Module::debug() const { return state_->debug; }
const std::vector<Variable>& Module::variables() const { return state_->variables; }
const std::vector<Function>& Module::functions() const { return state_->functions; }

uint32_t Module::findVariable(std::string_view name) const {
  auto found = state_->variableNames.find(name);
  return found == state_->variableNames.end() ? kNoIndex : found->second;
}

uint32_t Module::findFunction(std::string_view name) const {
  auto found = state_->functionNames.find(name);
  return found == state_->functionNames.end() ? kNoIndex : found->second;
}

uint32_t Module::findKernel(std::string_view name) const {
  uint32_t index = findFunction(name);
  return index != kNoIndex && functions()[index].kernel && functions()[index].defined ? index : kNoIndex;
}

std::variant<const Body*, Diagnostic> Module::body(uint32_t function) const {
  const Function& wanted = functions()[function];
  if (!wanted.defined)
    return Diagnostic{wanted.line, "unresolved function '" + std::string(wanted.name) + "'"};
  BodySlot& slot = *state_->bodies[function];
  std::call_once(slot.once, [&] { parseSlot(*state_, function, slot); });
  if (slot.failure) return *slot.failure;
  return &slot.body;
}

}  // namespace vgpu::ptx
