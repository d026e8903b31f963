#include "cpu_driver/runtime/module.h"

#include <algorithm>
#include <cstring>

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/device.h"
#include "cpu_driver/runtime/driver.h"

namespace vgpu::cpu {
namespace {

// As the device's own loader places variables, whatever smaller alignment they ask for.
constexpr size_t kVariableAlignment = 16;

bool inBank(const ptx::Variable& variable, bool constant) {
  if (variable.managed) return false;
  return variable.space == (constant ? ptx::Space::Const : ptx::Space::Global);
}

size_t alignUp(size_t offset, size_t alignment) { return (offset + alignment - 1) & ~(alignment - 1); }

}  // namespace

Module::~Module() {
  for (const auto& [name, function] : functions_) driver().functions.remove(function);
  for (const auto& allocation : memory_) driver().memory().release(allocation);
}

bool Module::placeBank(bool constant) {
  const auto& variables = code_->module().variables();
  size_t total = 0;
  const auto next = [&](const ptx::Variable& variable) {
    total = alignUp(total, std::max<size_t>(variable.alignment, kVariableAlignment));
    const size_t offset = total;
    total += variable.sizeBytes;
    return offset;
  };
  for (const auto& variable : variables)
    if (inBank(variable, constant)) next(variable);
  if (total == 0) return true;
  std::shared_ptr<Allocation> bank;
  if (driver().memory().allocate(context_, total, MemoryKind::Global, 0, &bank) != CUDA_SUCCESS) return false;
  memory_.push_back(bank);
  const uintptr_t base = bank->base;
  if (constant) {
    constantBegin_ = base;
    constantEnd_ = base + total;
  }
  total = 0;
  for (size_t i = 0; i < variables.size(); ++i) {
    if (inBank(variables[i], constant)) symbols_[i] = reinterpret_cast<void*>(base + next(variables[i]));
  }
  return true;
}

bool Module::placeManaged() {
  const auto& variables = code_->module().variables();
  for (size_t i = 0; i < variables.size(); ++i) {
    if (!variables[i].managed) continue;
    const size_t bytes = std::max<size_t>(1, variables[i].sizeBytes);
    std::shared_ptr<Allocation> own;
    if (driver().memory().allocate(context_, bytes, MemoryKind::Managed, CU_MEM_ATTACH_GLOBAL, &own) !=
        CUDA_SUCCESS) {
      return false;
    }
    memory_.push_back(own);
    symbols_[i] = reinterpret_cast<void*>(own->base);
  }
  return true;
}

void Module::relocate(const ptx::Variable& variable, std::byte* begin) {
  for (const ptx::Relocation& relocation : variable.relocations) {
    uint64_t value = relocation.function ? ptx::functionId(relocation.target)
                                         : reinterpret_cast<uintptr_t>(symbols_[relocation.target]);
    value = (value + static_cast<uint64_t>(relocation.addend)) >> relocation.shift;
    if (relocation.offset + relocation.sizeBytes > variable.sizeBytes) continue;
    std::memcpy(begin + relocation.offset, &value, std::min<size_t>(relocation.sizeBytes, sizeof value));
  }
}

void Module::initialise(uint32_t index) {
  const ptx::Variable& variable = code_->module().variables()[index];
  auto* begin = static_cast<std::byte*>(symbols_[index]);
  if (!begin) return;
  const size_t bytes = std::min<size_t>(variable.initial.size(), variable.sizeBytes);
  if (bytes != 0) std::memcpy(begin, variable.initial.data(), bytes);
  relocate(variable, begin);
}

Failure Module::place() {
  const auto& variables = code_->module().variables();
  symbols_.resize(variables.size());
  for (const auto& variable : variables) {
    const bool placed = variable.space == ptx::Space::Global || variable.space == ptx::Space::Const;
    if (placed && variable.linkage == ptx::Linkage::Extern) {
      return {CUDA_ERROR_INVALID_PTX,
              "undefined variable: " + std::string(variable.name) + " is only declared (.extern)"};
    }
  }
  if (!placeBank(false) || !placeBank(true) || !placeManaged()) {
    return {CUDA_ERROR_OUT_OF_MEMORY, "no memory for the module's variables"};
  }
  for (uint32_t i = 0; i < variables.size(); ++i) initialise(i);
  return {};
}

CUfunction Module::function(std::string_view name) {
  std::lock_guard lock(mutex_);
  if (const auto found = functions_.find(name); found != functions_.end()) return found->second;
  auto code = code_->kernel(name);
  if (!code) return nullptr;
  auto function = std::make_shared<Function>(*this, std::move(code));
  Function& made = *function;
  const CUfunction handle = driver().functions.insert(std::move(function));
  made.setHandle(handle);
  functions_.emplace(name, handle);
  return handle;
}

std::vector<CUfunction> Module::functions() {
  std::vector<CUfunction> all;
  for (const auto& kernel : code_->kernels()) all.push_back(function(kernel->name()));
  return all;
}

bool Module::variable(std::string_view name, CUdeviceptr* address, size_t* sizeBytes, bool managedOnly) {
  const uint32_t index = code_->module().findVariable(name);
  if (index == ptx::kNoIndex || !symbols_[index]) return false;
  const ptx::Variable& variable = code_->module().variables()[index];
  if (managedOnly && !variable.managed) return false;
  if (address) *address = reinterpret_cast<CUdeviceptr>(symbols_[index]);
  if (sizeBytes) *sizeBytes = variable.sizeBytes;
  return true;
}

}  // namespace vgpu::cpu
