#include "mediator/daemon/vgpu_slice.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>

#include "mediator/daemon/configuration_value.h"

namespace vgpu::daemon {
namespace {

constexpr size_t kLongestName = 63;  // of a device, for the kubelet

// An item on its way: what it said, before it becomes one vGPU or several.
struct Item {
  VgpuSlice slice;
  uint64_t count = 0;  // 0: not given
  bool hasShare = false;
};

struct SliceKey {
  ConfigurationKey key;
  bool needed;
  void (*set)(Item&, const ConfigurationValue&);
};

using Value = const ConfigurationValue&;
constexpr uint64_t kMiB = uint64_t{1} << 20;

// clang-format off
constexpr SliceKey kSliceKeys[] = {
    {{"name", KeyType::Text, "", 0, 0, "", true, "Lower-case letters, digits and hyphens. With `count` a number is added.", nullptr}, true,
     [](Item& i, Value v) { i.slice.name = v.text; }},
    {{"gpu", KeyType::Integer, "0", 0, 63, "", true, "The physical GPU, by its number in the order of PCI addresses.", nullptr}, false,
     [](Item& i, Value v) { i.slice.gpu = static_cast<uint32_t>(v.number); }},
    {{"memory", KeyType::Bytes, "", kMiB, kMiB << 20, "", true, "Device memory that all processes on the vGPU have together.", nullptr}, true,
     [](Item& i, Value v) { i.slice.memoryBytes = v.number; }},
    {{"share", KeyType::Integer, "", 1, 100, "", true, "Share of the GPU's compute in percent. May be left out for the only slice of a GPU.", nullptr}, false,
     [](Item& i, Value v) { i.slice.sharePercent = static_cast<uint32_t>(v.number); i.hasShare = true; }},
    {{"profile", KeyType::Text, "default", 0, 0, "", true, "The kind of vGPU, by which the device plugin chooses the resource's name.", nullptr}, false,
     [](Item& i, Value v) { i.slice.profile = v.text; }},
    {{"count", KeyType::Integer, "", 1, 1000, "", true, "So many alike: NAME-0, NAME-1, ...", nullptr}, false,
     [](Item& i, Value v) { i.count = v.number; }},
};
// clang-format on

bool isLabel(const std::string& text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kLongestName && plain(text.front()) && plain(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return plain(c) || c == '-'; });
}

class SliceReader {
 public:
  explicit SliceReader(const SliceMistake& mistake) : mistake_(mistake) {}

  void read(const YAML::Node& node) {
    if (!node.IsMap()) return mistake_(node.Mark(), "", "must be a map with name and memory");
    Item item;
    item.slice.profile = "default";
    if (!readKeys(node, item)) return;
    const uint64_t count = std::max<uint64_t>(item.count, 1);
    for (uint64_t i = 0; i < count; ++i) {
      VgpuSlice slice = item.slice;
      if (item.count != 0) slice.name += "-" + std::to_string(i);
      enter(node.Mark(), std::move(slice), item.hasShare);
    }
  }

  std::vector<VgpuSlice> take() { return std::move(slices_); }

 private:
  bool readKeys(const YAML::Node& node, Item& item) {
    std::set<std::string> seen;
    bool good = true;
    const auto wrong = [&](const YAML::Mark& mark, const std::string& key, std::string reason) {
      mistake_(mark, key, std::move(reason));
      good = false;
    };
    for (const auto& entry : node) {
      const std::string word = entry.first.IsScalar() ? entry.first.Scalar() : "";
      const auto known =
          std::ranges::find_if(kSliceKeys, [&](const SliceKey& k) { return word == k.key.name; });
      ConfigurationValue value;
      if (known == std::end(kSliceKeys)) {
        wrong(entry.first.Mark(), word,
              "unknown key of a slice; it has name, gpu, memory, share, profile, count");
      } else if (!seen.insert(word).second) {
        wrong(entry.first.Mark(), word, "is given twice");
      } else if (!entry.second.IsScalar()) {
        wrong(entry.first.Mark(), word, std::string("must be ") + describeType(known->key.type));
      } else if (std::string reason = readValue(known->key, {entry.second.Scalar()}, value);
                 !reason.empty()) {
        wrong(entry.second.Mark(), word, std::move(reason));
      } else {
        known->set(item, value);
      }
    }
    for (const SliceKey& known : kSliceKeys) {
      if (known.needed && seen.count(known.key.name) == 0) wrong(node.Mark(), known.key.name, "is needed");
    }
    return good;
  }

  void enter(const YAML::Mark& mark, VgpuSlice slice, bool hasShare) {
    if (!isLabel(slice.name)) {
      return mistake_(
          mark, "name",
          "must be lower-case letters, digits and hyphens, 63 at most, not \"" + slice.name + "\"");
    }
    if (!names_.insert(slice.name).second)
      return mistake_(mark, "name", "two vGPUs are named \"" + slice.name + "\"");
    uint32_t& shares = sharesOf_[slice.gpu];
    const bool first = shares == 0;
    if (!hasShare && !first)
      return mistake_(mark, "share", "is needed: GPU " + std::to_string(slice.gpu) + " has several slices");
    shares += slice.sharePercent;
    if (shares > 100) {
      return mistake_(mark, "share",
                      "the slices of GPU " + std::to_string(slice.gpu) + " have " + std::to_string(shares) +
                          " % of it together");
    }
    slices_.push_back(std::move(slice));
  }

  const SliceMistake& mistake_;
  std::set<std::string> names_;
  std::map<uint32_t, uint32_t> sharesOf_;
  std::vector<VgpuSlice> slices_;
};

}  // namespace

std::vector<VgpuSlice> readSlices(const YAML::Node& list, const SliceMistake& mistake) {
  SliceReader reader(mistake);
  for (const auto& item : list) reader.read(item);
  return reader.take();
}

std::string textOf(const VgpuSlice& slice) {
  return slice.name + "/" + std::to_string(slice.gpu) + "/" + std::to_string(slice.memoryBytes) + "/" +
         std::to_string(slice.sharePercent) + "/" + slice.profile;
}

std::string sliceReference() {
  std::string out =
      "\n## A slice\n"
      "Each item of `vgpus.slices` is a map:\n\n"
      "```yaml\nvgpus:\n  slices:\n    - {name: h100, memory: 20GiB, share: 25, count: 4}\n```\n\n"
      "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const SliceKey& known : kSliceKeys) {
    const std::string fallback = known.key.fallback;
    out += std::string("| `") + known.key.name + "` | " + describeType(known.key.type) + " | " +
           (known.needed       ? "needed"
            : fallback.empty() ? ""
                               : "`" + fallback + "`") +
           " | " + known.key.meaning + " |\n";
  }
  return out;
}

}  // namespace vgpu::daemon
