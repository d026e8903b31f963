// How one value of the configuration is read from the text that the file has for it. Pure functions; any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mediator/daemon/configuration.h"

namespace vgpu::daemon {

// Fills `value` from `items` (one for a scalar); answers what is wrong, or an empty text.
std::string readValue(const ConfigurationKey& key, const std::vector<std::string>& items,
                      ConfigurationValue& value);

bool isList(KeyType type);
// What the type accepts, in words: "a size such as 512MiB".
const char* describeType(KeyType type);

}  // namespace vgpu::daemon
