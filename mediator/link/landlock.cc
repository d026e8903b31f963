#include "mediator/link/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/unique_fd.h"

namespace vgpu::link {
namespace {

// From the kernel's include/uapi/linux/landlock.h; the numbers are the same on all architectures.
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr uint32_t kVersionFlag = 1;
constexpr uint32_t kRulePathBeneath = 1;

constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDir = 1 << 3;
constexpr uint64_t kRemoveDir = 1 << 4, kRemoveFile = 1 << 5, kMakeDir = 1 << 7, kMakeReg = 1 << 8;
constexpr uint64_t kFirstVersion = (1 << 13) - 1;  // everything up to MAKE_SYM
constexpr uint64_t kRefer = 1 << 13, kTruncate = 1 << 14, kIoctlDevice = 1 << 15;  // versions 2, 3, 5
constexpr uint64_t kBindTcp = 1 << 0, kConnectTcp = 1 << 1;                        // version 4
constexpr uint64_t kScopeAbstractSocket = 1 << 0, kScopeSignal = 1 << 1;           // version 6

constexpr uint64_t kReading = kReadFile | kReadDir;
constexpr uint64_t kFileRights = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;

struct RulesetAttributes {
  uint64_t files, network, scoped;
};

struct __attribute__((packed)) PathBeneath {
  uint64_t allowed;
  int32_t parent;
};

// Versions differ in how much of the structure they know.
size_t knownSize(long version) { return version >= 6 ? 24 : version >= 4 ? 16 : 8; }

RulesetAttributes handledBy(long version) {
  RulesetAttributes handled{kFirstVersion, 0, 0};
  if (version >= 2) handled.files |= kRefer;
  if (version >= 3) handled.files |= kTruncate;
  if (version >= 4) handled.network = kBindTcp | kConnectTcp;
  if (version >= 5) handled.files |= kIoctlDevice;
  if (version >= 6) handled.scoped = kScopeAbstractSocket | kScopeSignal;
  return handled;
}

Status allow(int ruleset, int parent, uint64_t rights, uint64_t handled) {
  struct stat status;
  if (::fstat(parent, &status) < 0) return errnoError("look at a path of the sandbox");
  if (!S_ISDIR(status.st_mode)) rights &= kFileRights;
  const PathBeneath rule{rights & handled, parent};
  if (::syscall(kAddRule, ruleset, kRulePathBeneath, &rule, 0) < 0) return errnoError("landlock_add_rule");
  return success();
}

}  // namespace

Result<bool> restrictFiles(std::span<const std::string> readable, int writableDirectory) {
  const long version = ::syscall(kCreateRuleset, nullptr, 0, kVersionFlag);
  if (version < 1) return false;
  const RulesetAttributes handled = handledBy(version);
  UniqueFd ruleset(static_cast<int>(::syscall(kCreateRuleset, &handled, knownSize(version), 0)));
  if (!ruleset.valid()) return errnoError("landlock_create_ruleset");

  for (const std::string& path : readable) {
    UniqueFd parent(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!parent.valid())
      continue;  // distributions differ in what exists; what is absent cannot be read either
    const uint64_t device = path.starts_with("/dev/") ? kWriteFile | kIoctlDevice : 0;
    if (Status status = allow(ruleset.get(), parent.get(), kReading | device, handled.files); !status) {
      return status.error();
    }
  }
  if (writableDirectory >= 0) {
    constexpr uint64_t kWriting =
        kReading | kWriteFile | kTruncate | kMakeReg | kMakeDir | kRemoveFile | kRemoveDir | kRefer;
    if (Status status = allow(ruleset.get(), writableDirectory, kWriting, handled.files); !status) {
      return status.error();
    }
  }
  if (::syscall(kRestrictSelf, ruleset.get(), 0) < 0) return errnoError("landlock_restrict_self");
  return true;
}

}  // namespace vgpu::link
