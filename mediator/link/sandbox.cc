#include "mediator/link/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

#include "base/log.h"
#include "mediator/link/landlock.h"
#include "mediator/link/sandbox_filter.h"

#if __has_feature(address_sanitizer)
// The leak checker attaches to its own process by ptrace, which a confined one may not.
static bool leakCheckerIsOff = false;
extern "C" int __lsan_is_turned_off();
extern "C" int __lsan_is_turned_off() { return leakCheckerIsOff; }
#endif

namespace vgpu::link {
namespace {

// What the dynamic loader, libc, LLVM's processor detection and NVIDIA's driver read. Folders of device nodes
// are opened for NVIDIA's profile only.
constexpr const char* kSystemPaths[] = {"/usr",
                                        "/lib",
                                        "/lib64",
                                        "/lib32",
                                        "/etc/ld.so.cache",
                                        "/etc/ld.so.conf",
                                        "/etc/ld.so.conf.d",
                                        "/etc/localtime",
                                        "/etc/nvidia",
                                        "/proc/self",
                                        "/proc/cpuinfo",
                                        "/proc/meminfo",
                                        "/proc/stat",
                                        "/proc/sys/vm",
                                        "/proc/sys/kernel",
                                        "/proc/driver/nvidia",
                                        "/sys/devices/system",
                                        "/sys/fs/cgroup",
                                        "/sys/kernel/mm",
                                        "/dev/null",
                                        "/dev/zero",
                                        "/dev/urandom"};
constexpr const char* kNvidiaPaths[] = {"/dev", "/sys", "/proc", "/run/nvidia-persistenced",
                                        "/tmp/nvidia-mps"};

Status setLimit(int which, rlim_t value, const char* name) {
  struct rlimit limit;
  if (::getrlimit(static_cast<__rlimit_resource_t>(which), &limit) < 0)
    return errnoError(std::string("read limit ") + name);
  limit.rlim_cur = limit.rlim_max = std::min(value, limit.rlim_max);
  if (::setrlimit(static_cast<__rlimit_resource_t>(which), &limit) < 0)
    return errnoError(std::string("set limit ") + name);
  return success();
}

// Limits that a user has set for his shell and that would cut a session's memory or files: as far up as is
// allowed.
void raiseLimit(int which) {
  struct rlimit limit;
  if (::getrlimit(static_cast<__rlimit_resource_t>(which), &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(static_cast<__rlimit_resource_t>(which), &limit);
}

Status setLimits(const ExecutorLimits& limits) {
  for (int which : {RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_CPU}) raiseLimit(which);
  Status status = setLimit(RLIMIT_CORE, 0, "core");
  if (status) status = setLimit(RLIMIT_NOFILE, limits.openFiles, "nofile");
  if (status && limits.processes != 0) status = setLimit(RLIMIT_NPROC, limits.processes, "nproc");
  return status;
}

// Also from the bounding and ambient sets, so that nothing can bring one back.
Status dropCapabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned long capability = 0; capability <= 63; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) break;  // not privileged, or past the last one
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &header, none) < 0) return errnoError("drop capabilities");
  return success();
}

Status confineFiles(SandboxProfile profile, const SandboxPaths& paths) {
  std::vector<std::string> readable(std::begin(kSystemPaths), std::end(kSystemPaths));
  if (profile == SandboxProfile::Nvidia)
    readable.insert(readable.end(), std::begin(kNvidiaPaths), std::end(kNvidiaPaths));
  readable.insert(readable.end(), paths.readable.begin(), paths.readable.end());
  Result<bool> restricted = restrictFiles(readable, paths.cacheDirectory);
  if (!restricted) return restricted.error();
  if (!*restricted) log::info("this kernel has no Landlock: files are protected by their modes only");
  return success();
}

}  // namespace

void arrangeBeforeExec(int daemonProcess) {
  // By system calls: see the daemon's executor_process.cc. Eight bytes are the kernel's signal set.
  const uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
#if !__has_feature(thread_sanitizer)
  // ThreadSanitizer's shadow has no room for that layout.
  ::syscall(SYS_personality, ::syscall(SYS_personality, 0xffffffffUL) | ADDR_COMPAT_LAYOUT);
#endif
  ::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::syscall(SYS_getppid) != daemonProcess)
    ::syscall(SYS_exit_group, 0);  // it died before that took effect
}

Status enterDriverStage(SandboxProfile profile, const ExecutorLimits& limits, const SandboxPaths& paths) {
  if (Status status = setLimits(limits); !status) return status;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return errnoError("set no_new_privs");
  if (profile == SandboxProfile::Off) {
    log::warning("the sandbox is off: this executor may call whatever its user may");
    return success();
  }
#if __has_feature(address_sanitizer)
  leakCheckerIsOff = true;
#endif
  // Landlock before the capabilities go: a rule names paths that only root may be able to open.
  if (Status status = confineFiles(profile, paths); !status) return status;
  if (Status status = dropCapabilities(); !status) return status;
  return installDriverFilter(profile);
}

Status enterGuestStage(SandboxProfile profile) {
  if (profile == SandboxProfile::Off) return success();
  return installGuestFilter(profile);
}

}  // namespace vgpu::link
