// Any file is either a configuration or a list of mistakes with their places; never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "mediator/daemon/configuration.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view yaml(reinterpret_cast<const char*>(data), size);
  const auto outcome = vgpu::daemon::readConfiguration(yaml);
  for (const auto& mistake : outcome.mistakes) CHECK(!mistake.text("file").empty());
  if (outcome.mistakes.empty()) CHECK(!outcome.configuration.endpoints.empty());
  return 0;
}
