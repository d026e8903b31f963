// What a Module keeps. Runs where load() runs; written while loading, then constant but for the body slots.
// Internal to cpu_driver/ptx.
#pragma once

#include <mutex>
#include <unordered_map>

#include "cpu_driver/ptx/module.h"

namespace vgpu::ptx {

struct BodySlot {
  std::once_flag once;
  Body body;
  std::optional<Diagnostic> failure;
};

struct Module::State {
  std::string text;
  uint32_t versionMajor = 0, versionMinor = 0;
  std::string_view target;
  uint32_t targetNumber = 0;
  uint32_t addressBits = 64;
  bool debug = false;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  std::unordered_map<std::string_view, uint32_t> variableNames, functionNames;
  mutable std::vector<std::unique_ptr<BodySlot>> bodies;  // one a function, those defined have one
  std::once_flag addressTakenOnce;
  std::vector<uint32_t> addressTaken;
};

}  // namespace vgpu::ptx
