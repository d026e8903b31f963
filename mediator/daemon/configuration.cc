#include "mediator/daemon/configuration.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <tuple>

#include "mediator/daemon/configuration_value.h"
#include "transport/carrier/endpoint.h"

namespace vgpu::daemon {
namespace {

constexpr size_t kLargestFileBytes =
    1 << 20;  // a configuration is a few lines; more is another file by mistake

const ConfigurationKey* findKey(std::string_view name) {
  for (const ConfigurationKey& key : configurationKeys()) {
    if (name == key.name) return &key;
  }
  return nullptr;
}

bool isSection(const std::string& name) {
  return std::ranges::any_of(configurationKeys(), [&](const ConfigurationKey& key) {
    return std::string_view(key.name).starts_with(name + ".");
  });
}

size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string unknownKeyReason(const std::string& name) {
  const ConfigurationKey* nearest = nullptr;
  size_t least = 4;  // further away is another word, not a typing mistake
  for (const ConfigurationKey& key : configurationKeys()) {
    const size_t distance = editDistance(name.substr(0, 64), key.name);
    if (distance < least) {
      least = distance;
      nearest = &key;
    }
  }
  return nearest ? std::string("unknown key; did you mean ") + nearest->name + "?" : "unknown key";
}

bool isLoopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// Notes where a document begins, and nothing else.
class BeginningHandler : public YAML::EventHandler {
 public:
  YAML::Mark beginning;

  void OnDocumentStart(const YAML::Mark& mark) override { beginning = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}
};

// YAML::LoadAll would tell this too, but never ends on some broken files (yaml-cpp 0.7: "&a,").
std::optional<YAML::Mark> secondDocument(std::string_view yaml) {
  std::istringstream in{std::string(yaml)};
  YAML::Parser parser(in);
  BeginningHandler handler;
  if (!parser.HandleNextDocument(handler) || !parser.HandleNextDocument(handler)) return std::nullopt;
  return handler.beginning;
}

class Reader {
 public:
  explicit Reader(ConfigurationOutcome& outcome) : outcome_(outcome) {}

  void readSection(const YAML::Node& node, const std::string& prefix) {
    if (!node.IsMap()) {
      mistake(node.Mark(), prefix,
              prefix.empty() ? "the file must be a map of keys" : "must be a map of keys");
      return;
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        mistake(entry.first.Mark(), prefix, "a key must be plain text");
        continue;
      }
      const std::string word = entry.first.Scalar();
      std::string name = prefix;
      if (!name.empty()) name += '.';
      name += word;
      if (!seen.insert(word).second) {
        mistake(entry.first.Mark(), name, "is given twice");
      } else if (const ConfigurationKey* key = findKey(name)) {
        readKey(*key, entry.second, entry.first.Mark());
      } else if (isSection(name)) {
        readSection(entry.second, name);
      } else {
        mistake(entry.first.Mark(), name, unknownKeyReason(name));
      }
    }
  }

  void readOverride(const std::string& text) {
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const ConfigurationKey* key = findKey(name);
    if (key == nullptr) return mistake(YAML::Mark::null_mark(), name, unknownKeyReason(name));
    if (equals == std::string::npos)
      return mistake(YAML::Mark::null_mark(), name, "needs a value: " + name + "=VALUE");
    const std::string value = text.substr(equals + 1);
    if (isList(key->type) && value.starts_with('[')) return readYamlList(*key, value);
    apply(*key, isList(key->type) ? words(value) : std::vector{value}, YAML::Mark::null_mark());
  }

  void applyFallbacks() {
    for (const ConfigurationKey& key : configurationKeys()) {
      apply(key, isList(key.type) ? words(key.fallback) : std::vector<std::string>{key.fallback},
            YAML::Mark::null_mark());
    }
  }

  void mistake(const YAML::Mark& mark, const std::string& key, std::string reason) {
    outcome_.mistakes.push_back({mark.line + 1, mark.column + 1, key, std::move(reason)});
  }

  void checkTogether();

 private:
  static std::vector<std::string> words(std::string_view text) {
    std::istringstream in{std::string(text)};
    std::vector<std::string> list;
    for (std::string word; in >> word;) list.push_back(word);
    return list;
  }

  void readYamlList(const ConfigurationKey& key, const std::string& value) {
    try {
      const YAML::Node node = YAML::Load(value);
      if (key.type == KeyType::SliceList) return readSliceList(key, node, YAML::Mark::null_mark());
      std::vector<std::string> items;
      for (const auto& item : node) items.push_back(item.Scalar());
      apply(key, items, YAML::Mark::null_mark());
    } catch (const YAML::Exception& exception) {
      mistake(YAML::Mark::null_mark(), key.name, exception.msg);
    }
  }

  void readKey(const ConfigurationKey& key, const YAML::Node& node, const YAML::Mark& keyMark) {
    const YAML::Mark mark = node.Mark().is_null() ? keyMark : node.Mark();
    if (isList(key.type)) {
      if (!node.IsSequence())
        return mistake(mark, key.name, std::string("must be ") + describeType(key.type));
      if (key.type == KeyType::SliceList) return readSliceList(key, node, mark);
      std::vector<std::string> items;
      for (const auto& item : node) {
        if (!item.IsScalar()) return mistake(item.Mark(), key.name, "each item must be plain text");
        items.push_back(item.Scalar());
      }
      return apply(key, items, mark);
    }
    // "key:" with nothing behind it is most likely a forgotten value, and never the same as "".
    if (node.IsNull())
      return mistake(keyMark, key.name, std::string("has no value; must be ") + describeType(key.type));
    if (!node.IsScalar()) return mistake(mark, key.name, std::string("must be ") + describeType(key.type));
    apply(key, {node.Scalar()}, mark);
  }

  void readSliceList(const ConfigurationKey& key, const YAML::Node& node, const YAML::Mark& mark) {
    const bool inFile = !mark.is_null();
    ConfigurationValue value;
    value.slices =
        readSlices(node, [&](const YAML::Mark& place, const std::string& word, std::string reason) {
          const std::string name = word.empty() ? key.name : std::string(key.name) + "." + word;
          mistake(inFile ? place : YAML::Mark::null_mark(), name, std::move(reason));
        });
    std::vector<std::string> texts;
    for (const VgpuSlice& slice : value.slices) texts.push_back(textOf(slice));
    accept(key, value, texts, mark);
  }

  void apply(const ConfigurationKey& key, const std::vector<std::string>& items, const YAML::Mark& mark) {
    ConfigurationValue value;
    std::string reason = readValue(key, items, value);
    if (!reason.empty()) return mistake(mark, key.name, std::move(reason));
    accept(key, value, items, mark);
  }

  void accept(const ConfigurationKey& key, const ConfigurationValue& value,
              const std::vector<std::string>& items, const YAML::Mark& mark) {
    key.set(outcome_.configuration, value);
    marks_[key.name] = mark;
    std::string& written = outcome_.configuration.written[key.name];
    written.clear();
    for (const std::string& item : items) written += (written.empty() ? "" : " ") + item;
  }

  ConfigurationOutcome& outcome_;
  std::map<std::string, YAML::Mark> marks_;
};

// Rules that no single key can break.
void Reader::checkTogether() {
  const Configuration& c = outcome_.configuration;
  const auto requirePowerOfTwo = [&](const char* key, uint32_t value) {
    if (!std::has_single_bit(value))
      mistake(marks_[key], key, "must be a power of two, not " + std::to_string(value));
  };
  requirePowerOfTwo("sessions.ring_lines", c.limits.ringLines);
  requirePowerOfTwo("sessions.event_ring_lines", c.limits.eventRingLines);
  if (c.metricsAddress != "off" && c.metricsAddress.find(':') == std::string::npos) {
    mistake(marks_["metrics.address"], "metrics.address", "must be HOST:PORT or off");
  }
  for (const std::string& text : c.endpoints) {
    const auto endpoint = transport::parseEndpoint(text);
    if (endpoint && endpoint.value().family == transport::Endpoint::Family::Tcp && !c.allowPlainTcp &&
        !isLoopback(endpoint.value().host)) {
      mistake(marks_["endpoints"], "endpoints",
              text +
                  " is not on loopback and would be neither encrypted nor authenticated; say "
                  "allow_plain_tcp: true");
    }
  }
  const bool named = c.driver == "auto" || c.driver == "cpu" || c.driver == "nvidia";
  if (!named && !c.driver.starts_with('/')) {
    mistake(marks_["executor.driver"], "executor.driver", "must be auto, cpu, nvidia or an absolute path");
  }
}

}  // namespace

std::string ConfigurationMistake::text(std::string_view file) const {
  std::string text(line > 0 ? file : "command line");
  if (line > 0) text += ":" + std::to_string(line) + ":" + std::to_string(column);
  if (!key.empty()) text += ": " + key;
  return text + ": " + reason;
}

ConfigurationOutcome readConfiguration(std::string_view yaml, std::span<const std::string> overrides,
                                       std::span<const std::string> defaults) {
  ConfigurationOutcome outcome;
  Reader reader(outcome);
  reader.applyFallbacks();
  for (const std::string& text : defaults) reader.readOverride(text);
  if (yaml.size() > kLargestFileBytes) {
    reader.mistake(YAML::Mark(), "", "larger than 1 MiB: this is no configuration");
    return outcome;
  }
  try {
    const YAML::Node document = YAML::Load(std::string(yaml));
    if (const auto second = secondDocument(yaml))
      reader.mistake(*second, "", "a second document begins here");
    if (!document.IsNull()) reader.readSection(document, "");
  } catch (const YAML::Exception& exception) {
    reader.mistake(exception.mark, "", exception.msg);
  }
  for (const std::string& text : overrides) reader.readOverride(text);
  if (outcome.mistakes.empty()) reader.checkTogether();
  std::ranges::sort(outcome.mistakes, {},
                    [](const ConfigurationMistake& m) { return std::tuple(m.line, m.column, m.key); });
  return outcome;
}

std::vector<std::string> keysForNextStart(const Configuration& running, const Configuration& wanted) {
  std::vector<std::string> keys;
  for (const ConfigurationKey& key : configurationKeys()) {
    if (!key.reloads && running.written.at(key.name) != wanted.written.at(key.name)) keys.push_back(key.name);
  }
  return keys;
}

std::string configurationReference() {
  std::ostringstream out;
  out << "# Configuration of vgpu-mediator\n\n"
         "<!-- Made by `vgpu-mediator --configuration-reference`; a test compares. -->\n\n"
         "The mediator reads `/etc/vgpu/mediator.yaml`, or the file that `--configuration` names. Every key "
         "has a default,\n"
         "so the file may be empty or absent. A dotted name is a key within a section: `sessions.max` is "
         "written\n\n"
         "```yaml\nsessions:\n  max: 64\n```\n\n"
         "Any key may also be given as `--set sessions.max=64`, which wins over the file. What is wrong is "
         "named with line\n"
         "and column, and the mediator does not start. `SIGHUP` reads the file again: a file with a mistake "
         "changes\n"
         "nothing, keys marked *restart* take effect at the next start, others for sessions that begin "
         "afterwards.\n\n"
         "| key | type | default | | meaning |\n| --- | --- | --- | --- | --- |\n";
  for (const ConfigurationKey& key : configurationKeys()) {
    const std::string type =
        key.type == KeyType::Choice ? "one of: " + std::string(key.choices) : describeType(key.type);
    out << "| `" << key.name << "` | " << type << " | "
        << (*key.fallback ? "`" + std::string(key.fallback) + "`" : "empty") << " | "
        << (key.reloads ? "" : "*restart*") << " | " << key.meaning << " |\n";
  }
  out << sliceReference();
  return out.str();
}

}  // namespace vgpu::daemon
