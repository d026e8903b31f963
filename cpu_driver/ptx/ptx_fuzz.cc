// The parser on any bytes: it answers with a module or a diagnostic, and what it accepts can be asked for
// everything.
#include <cstddef>
#include <cstdint>
#include <string>

#include "cpu_driver/ptx/module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto loaded = vgpu::ptx::load(text, vgpu::ptx::BodyParsing::Lazy);
  auto* module = std::get_if<std::shared_ptr<const vgpu::ptx::Module>>(&loaded);
  if (module == nullptr) return 0;
  for (uint32_t i = 0; i < (*module)->functions().size(); ++i) {
    if (!(*module)->functions()[i].defined) continue;
    (void)(*module)->body(i);
    if ((*module)->functions()[i].kernel) (void)(*module)->resources(i);
  }
  return 0;
}
