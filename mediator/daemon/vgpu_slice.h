// A vGPU as the administrator writes it: one item of `vgpus.slices`. Read where the configuration is read;
// whatever is wrong is named with its place in the file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace YAML {
class Node;
struct Mark;
}  // namespace YAML

namespace vgpu::daemon {

struct VgpuSlice {
  std::string name;  // a DNS label: Kubernetes knows the device by it
  uint32_t gpu = 0;  // of the driver, by number
  uint64_t memoryBytes = 0;
  uint32_t sharePercent = 100;  // of the GPU's compute
  std::string profile;          // what the device plugin offers it as

  bool operator==(const VgpuSlice&) const = default;
};

// Where, which key, and what is wrong with it.
using SliceMistake = std::function<void(const YAML::Mark& mark, const std::string& key, std::string reason)>;

std::vector<VgpuSlice> readSlices(const YAML::Node& list, const SliceMistake& mistake);
// As one line that is the same when nothing has changed.
std::string textOf(const VgpuSlice& slice);
// For docs/configuration.md.
std::string sliceReference();

}  // namespace vgpu::daemon
