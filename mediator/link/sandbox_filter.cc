#include "mediator/link/sandbox_filter.h"

#include <asm/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

namespace vgpu::link {
namespace {

struct FilterDelete {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterDelete>;

// What only an intruder calls: reaching into other processes, becoming another program, changing the system.
constexpr const char* kHostile[] = {"ptrace",
                                    "process_vm_readv",
                                    "process_vm_writev",
                                    "process_madvise",
                                    "pidfd_getfd",
                                    "kcmp",
                                    "mount",
                                    "umount2",
                                    "pivot_root",
                                    "chroot",
                                    "move_mount",
                                    "open_tree",
                                    "fsopen",
                                    "fsconfig",
                                    "fsmount",
                                    "fspick",
                                    "mount_setattr",
                                    "setns",
                                    "unshare",
                                    "bpf",
                                    "perf_event_open",
                                    "userfaultfd",
                                    "init_module",
                                    "finit_module",
                                    "delete_module",
                                    "kexec_load",
                                    "kexec_file_load",
                                    "reboot",
                                    "swapon",
                                    "swapoff",
                                    "add_key",
                                    "request_key",
                                    "keyctl",
                                    "acct",
                                    "quotactl",
                                    "open_by_handle_at",
                                    "iopl",
                                    "ioperm",
                                    "settimeofday",
                                    "clock_settime",
                                    "clock_adjtime",
                                    "adjtimex",
                                    "syslog",
                                    "vhangup",
                                    "io_uring_setup",
                                    "io_uring_enter",
                                    "io_uring_register"};

constexpr const char* kBecomeAnother[] = {"execve", "execveat"};

// Computing: memory, threads, time, the descriptors that are open already.
constexpr const char* kCompute[] = {"read",
                                    "write",
                                    "readv",
                                    "writev",
                                    "pread64",
                                    "pwrite64",
                                    "preadv",
                                    "pwritev",
                                    "preadv2",
                                    "pwritev2",
                                    "recvmsg",
                                    "sendmsg",
                                    "recvfrom",
                                    "sendto",
                                    "recvmmsg",
                                    "sendmmsg",
                                    "shutdown",
                                    "getsockopt",
                                    "setsockopt",
                                    "getsockname",
                                    "getpeername",
                                    "poll",
                                    "ppoll",
                                    "select",
                                    "pselect6",
                                    "epoll_create1",
                                    "epoll_ctl",
                                    "epoll_wait",
                                    "epoll_pwait",
                                    "epoll_pwait2",
                                    "eventfd2",
                                    "timerfd_create",
                                    "timerfd_settime",
                                    "timerfd_gettime",
                                    "signalfd4",
                                    "pipe2",
                                    "close",
                                    "close_range",
                                    "dup",
                                    "dup2",
                                    "dup3",
                                    "lseek",
                                    "fstat",
                                    "ftruncate",
                                    "fallocate",
                                    "fsync",
                                    "fdatasync",
                                    "flock",
                                    "fstatfs",
                                    "fadvise64",
                                    "copy_file_range",
                                    "sendfile",
                                    "mmap",
                                    "munmap",
                                    "mprotect",
                                    "mremap",
                                    "madvise",
                                    "mincore",
                                    "msync",
                                    "mlock",
                                    "mlock2",
                                    "munlock",
                                    "membarrier",
                                    "memfd_create",
                                    "brk",
                                    "set_mempolicy",
                                    "get_mempolicy",
                                    "mbind",
                                    "futex",
                                    "futex_waitv",
                                    "futex_wait",
                                    "futex_wake",
                                    "set_robust_list",
                                    "get_robust_list",
                                    "rseq",
                                    "set_tid_address",
                                    "exit",
                                    "exit_group",
                                    "sched_yield",
                                    "sched_getaffinity",
                                    "sched_setaffinity",
                                    "sched_getparam",
                                    "sched_getscheduler",
                                    "sched_get_priority_max",
                                    "sched_get_priority_min",
                                    "getcpu",
                                    "getpid",
                                    "gettid",
                                    "getppid",
                                    "getuid",
                                    "geteuid",
                                    "getgid",
                                    "getegid",
                                    "getpgrp",
                                    "getrusage",
                                    "getrlimit",
                                    "times",
                                    "sysinfo",
                                    "uname",
                                    "umask",
                                    "getrandom",
                                    "getpriority",
                                    "capget",
                                    "clock_gettime",
                                    "clock_getres",
                                    "clock_nanosleep",
                                    "nanosleep",
                                    "gettimeofday",
                                    "time",
                                    "restart_syscall",
                                    "rt_sigaction",
                                    "rt_sigprocmask",
                                    "rt_sigreturn",
                                    "rt_sigpending",
                                    "rt_sigtimedwait",
                                    "rt_sigsuspend",
                                    "sigaltstack",
                                    "pause",
                                    "alarm"};

// Files: which ones is Landlock's matter, and the file modes' where there is none.
constexpr const char* kFiles[] = {"open",       "openat", "openat2",   "stat",       "lstat",    "newfstatat",
                                  "statx",      "access", "faccessat", "faccessat2", "readlink", "readlinkat",
                                  "getdents64", "getcwd", "unlink",    "unlinkat",   "rename",   "renameat",
                                  "renameat2",  "mkdir",  "mkdirat",   "rmdir",      "link",     "linkat",
                                  "utimensat",  "statfs", "fchmod"};

// What NVIDIA's driver does beside: its device nodes speak ioctl, and it makes unix sockets to its own
// daemons.
constexpr const char* kNvidia[] = {"ioctl",
                                   "socket",
                                   "socketpair",
                                   "connect",
                                   "bind",
                                   "listen",
                                   "accept4",
                                   "sched_setscheduler",
                                   "setpriority",
                                   "mlockall",
                                   "munlockall",
                                   "migrate_pages",
                                   "move_pages",
                                   "get_mempolicy",
                                   "set_mempolicy_home_node",
                                   "inotify_init1",
                                   "inotify_add_watch",
                                   "fcntl",
                                   "prctl",
                                   "sched_setattr",
                                   "sched_getattr"};

class Builder {
 public:
  explicit Builder(uint32_t otherwise) : filter_(seccomp_init(otherwise)) {
    if (!filter_) code_ = ENOMEM;
    if (filter_) note(seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_NNP, 0), "no_new_privs is set apart");
  }

  // A name that this kernel's headers or architecture lack needs no rule.
  void rule(uint32_t action, const char* name) {
    const int number = seccomp_syscall_resolve_name(name);
    if (filter_ && number >= 0) note(seccomp_rule_add(filter_.get(), action, number, 0), name);
  }
  void rule(uint32_t action, const char* name, scmp_arg_cmp condition) {
    const int number = seccomp_syscall_resolve_name(name);
    if (filter_ && number >= 0)
      note(seccomp_rule_add_array(filter_.get(), action, number, 1, &condition), name);
  }
  template <size_t N>
  void rules(uint32_t action, const char* const (&names)[N]) {
    for (const char* name : names) rule(action, name);
  }

  Status load(bool allThreads) {
    if (filter_ && allThreads) note(seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_TSYNC, 1), "all threads");
    if (filter_ && code_ == 0) note(seccomp_load(filter_.get()), "load");
    if (code_ == 0) return success();
    return Error{"install the seccomp filter (" + where_ + ")", ::strerror(code_), code_};
  }

 private:
  void note(int result, const char* where) {
    if (result >= 0 || code_ != 0) return;
    code_ = -result;
    where_ = where;
  }

  Filter filter_;
  int code_ = 0;
  std::string where_ = "init";
};

scmp_arg_cmp argument(unsigned index, scmp_compare how, uint64_t a, uint64_t b = 0) {
  return scmp_arg_cmp{index, how, a, b};
}

void allowThreadsOnly(Builder& filter) {
  filter.rule(SCMP_ACT_ALLOW, "clone", argument(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  // clone3 hides its flags behind a pointer: it is not there (ENOSYS, as everything unnamed), and glibc falls
  // back.
  for (const char* process : {"fork", "vfork"}) filter.rule(SCMP_ACT_ERRNO(EPERM), process);
  // Signals to itself: abort, raise, pthread_kill. The process id is known, and never changes without fork.
  const auto self = static_cast<uint64_t>(::getpid());
  filter.rule(SCMP_ACT_ALLOW, "tgkill", argument(0, SCMP_CMP_EQ, self));
  filter.rule(SCMP_ACT_ALLOW, "rt_tgsigqueueinfo", argument(0, SCMP_CMP_EQ, self));
  filter.rule(SCMP_ACT_KILL_PROCESS, "kill");
  filter.rule(SCMP_ACT_KILL_PROCESS, "tkill");
  filter.rule(SCMP_ACT_KILL_PROCESS, "pidfd_send_signal");
  // Reading limits is harmless, changing another process's is not: only "of myself, nothing new".
  filter.rule(SCMP_ACT_ALLOW, "prlimit64", argument(2, SCMP_CMP_EQ, 0));
}

void allowNarrowly(Builder& filter) {
  for (int option : {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA, PR_GET_TIMERSLACK,
                     PR_SET_TIMERSLACK, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS}) {
    filter.rule(SCMP_ACT_ALLOW, "prctl", argument(0, SCMP_CMP_EQ, static_cast<uint64_t>(option)));
  }
  for (unsigned long request : {static_cast<unsigned long>(TCGETS), static_cast<unsigned long>(FIONREAD),
                                static_cast<unsigned long>(FIONBIO), static_cast<unsigned long>(FIOCLEX)}) {
    filter.rule(SCMP_ACT_ALLOW, "ioctl", argument(1, SCMP_CMP_EQ, request));
  }
  // Everything but F_SETOWN and F_SETSIG, by which descriptors send signals to other processes.
  for (int command : {0, 1, 2, 3, 4, 5, 6, 7, 1024, 1030, 1031, 1032, 1033, 1034, 36, 37, 38}) {
    filter.rule(SCMP_ACT_ALLOW, "fcntl", argument(1, SCMP_CMP_EQ, static_cast<uint64_t>(command)));
  }
}

}  // namespace

Status installDriverFilter(SandboxProfile profile) {
  Builder filter(SCMP_ACT_ALLOW);
  filter.rules(SCMP_ACT_KILL_PROCESS, kHostile);
  // NVIDIA's driver asks for a set-user-id program when a device node is missing; that is refused, not
  // punished.
  const uint32_t become = profile == SandboxProfile::Nvidia ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS;
  filter.rules(become, kBecomeAnother);
  return filter.load(false);
}

Status installGuestFilter(SandboxProfile profile) {
  Builder filter(SCMP_ACT_ERRNO(ENOSYS));
  filter.rules(SCMP_ACT_ALLOW, kCompute);
  filter.rules(SCMP_ACT_ALLOW, kFiles);
  allowThreadsOnly(filter);
  filter.rules(SCMP_ACT_KILL_PROCESS, kHostile);
  filter.rules(SCMP_ACT_KILL_PROCESS, kBecomeAnother);
  if (profile == SandboxProfile::Nvidia) {
    filter.rules(SCMP_ACT_ALLOW, kNvidia);
  } else {
    allowNarrowly(filter);
    for (const char* call : {"socket", "connect", "bind", "listen", "accept", "accept4", "socketpair"}) {
      filter.rule(SCMP_ACT_ERRNO(EACCES), call);
    }
  }
  return filter.load(true);
}

}  // namespace vgpu::link
