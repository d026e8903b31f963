#include "mediator/link/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/log.h"

namespace vgpu::link {
namespace {

// Runs `body` in a child that has confined itself; answers how it ended: the exit code, or minus the signal.
int confined(SandboxProfile profile, const std::function<int()>& body, const SandboxPaths& paths = {}) {
  const pid_t child = ::fork();
  if (child == 0) {
    log::setLevel(log::Level::Error);
    if (Status status = enterDriverStage(profile, ExecutorLimits{}, paths); !status) {
      log::error("test", {{"failed", status.error().message()}});
      ::_exit(250);
    }
    if (Status status = enterGuestStage(profile); !status) {
      log::error("test", {{"failed", status.error().message()}});
      ::_exit(251);
    }
    ::_exit(body());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

class Sandbox : public testing::TestWithParam<SandboxProfile> {};
INSTANTIATE_TEST_SUITE_P(Profiles, Sandbox, testing::Values(SandboxProfile::Cpu, SandboxProfile::Nvidia));

TEST_P(Sandbox, ComputingGoesOn) {
  EXPECT_EQ(confined(GetParam(),
                     [] {
                       const int memfd = ::memfd_create("code", MFD_CLOEXEC);
                       if (memfd < 0 || ::ftruncate(memfd, 8192) != 0) return 1;
                       void* code = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
                       if (code == MAP_FAILED || ::mprotect(code, 4096, PROT_READ | PROT_EXEC) != 0) return 2;
                       if (::fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0)
                         return 3;
                       std::atomic<int> ran{0};
                       std::thread thread([&] { ran = 1; });
                       thread.join();
                       std::free(std::malloc(64 << 20));
                       return ran == 1 ? 0 : 4;
                     }),
            0);
}

TEST_P(Sandbox, AnotherProgramEndsTheProcess) {
  EXPECT_EQ(confined(GetParam(), [] { return ::execl("/bin/true", "true", nullptr) == -1 ? 1 : 0; }),
            -SIGSYS);
}

TEST_P(Sandbox, TracingEndsTheProcess) {
  EXPECT_EQ(
      confined(GetParam(), [] { return ::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr) < 0 ? 1 : 0; }),
      -SIGSYS);
}

TEST_P(Sandbox, KillingOthersEndsTheProcess) {
  EXPECT_EQ(confined(GetParam(), [] { return ::kill(::getppid(), 0) < 0 ? 1 : 0; }), -SIGSYS);
}

TEST_P(Sandbox, ANewProcessIsRefused) {
  EXPECT_EQ(confined(GetParam(),
                     [] {
                       const long child = ::syscall(SYS_fork);
                       if (child == 0) ::_exit(0);
                       return child < 0 && errno == EPERM ? 0 : 1;
                     }),
            0);
}

TEST_P(Sandbox, AbortStillAborts) {
  EXPECT_EQ(confined(GetParam(), []() -> int { std::abort(); }), -SIGABRT);
}

TEST_P(Sandbox, UnknownCallsAnswerNotImplemented) {
  EXPECT_EQ(
      confined(GetParam(), [] { return ::syscall(SYS_shmget, 1, 4096, 0) < 0 && errno == ENOSYS ? 0 : 1; }),
      0);
}

TEST(SandboxCpu, ASocketCannotBeMade) {
  EXPECT_EQ(confined(SandboxProfile::Cpu,
                     [] { return ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EACCES ? 0 : 1; }),
            0);
}

TEST(SandboxCpu, DevicesHearNoIoctl) {
  EXPECT_EQ(confined(SandboxProfile::Cpu,
                     [] { return ::syscall(SYS_ioctl, 0, 0x1234, 0) < 0 && errno == ENOSYS ? 0 : 1; }),
            0);
}

TEST(SandboxCpu, ThreadsThatExistedAreConfinedToo) {
  const pid_t child = ::fork();
  if (child == 0) {
    log::setLevel(log::Level::Error);
    std::atomic<bool> go{false};
    std::atomic<int> result{-1};
    std::thread early([&] {
      while (!go) ::usleep(1000);
      result = ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EACCES ? 0 : 1;
    });
    if (!enterDriverStage(SandboxProfile::Cpu, ExecutorLimits{}, {}) || !enterGuestStage(SandboxProfile::Cpu))
      ::_exit(9);
    go = true;
    early.join();
    ::_exit(result);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

bool kernelHasLandlock() { return ::syscall(444, nullptr, 0, 1) >= 1; }

TEST(SandboxCpu, FilesOutsideAreNotReadAndOnlyTheCacheIsWritten) {
  if (!kernelHasLandlock()) GTEST_SKIP() << "this kernel has no Landlock";
  char folder[] = "sandbox_test_XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string outside = std::string(folder) + "/outside", cache = std::string(folder) + "/cache";
  UniqueFd file(::open(outside.c_str(), O_CREAT | O_RDWR, 0600));
  ASSERT_TRUE(file.valid());
  ASSERT_EQ(::mkdir(cache.c_str(), 0700), 0);
  UniqueFd cacheFd(::open(cache.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));

  EXPECT_EQ(confined(SandboxProfile::Cpu,
                     [&] {
                       if (::open(outside.c_str(), O_RDONLY) >= 0 || errno != EACCES) return 1;
                       if (::open("/etc/passwd", O_RDONLY) >= 0) return 2;
                       if (::open("/usr/lib/os-release", O_RDONLY) < 0 && errno == EACCES) return 3;
                       if (::openat(cacheFd.get(), "entry.part", O_CREAT | O_RDWR, 0600) < 0) return 4;
                       if (::renameat(cacheFd.get(), "entry.part", cacheFd.get(), "entry") != 0) return 5;
                       if (::unlinkat(cacheFd.get(), "entry", 0) != 0) return 6;
                       return 0;
                     },
                     {{}, cacheFd.get()}),
            0);
  std::filesystem::remove_all(folder);
}

// A line of /proc/self/status that has this name, and another value in hexadecimal.
bool contradicts(const char* line, std::string_view name, unsigned long long value) {
  return std::string_view(line).starts_with(name) && std::strtoull(line + name.size(), nullptr, 16) != value;
}

TEST(SandboxCpu, CapabilitiesAndCoresAreGone) {
  EXPECT_EQ(confined(SandboxProfile::Cpu,
                     [] {
                       struct rlimit core;
                       if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) return 1;
                       struct rlimit space;
                       if (::getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur != RLIM_INFINITY) return 2;
                       std::FILE* file = std::fopen("/proc/self/status", "r");
                       if (file == nullptr) return 3;
                       char line[256];
                       while (std::fgets(line, sizeof line, file) != nullptr) {
                         if (contradicts(line, "CapEff:", 0)) return 4;
                         if (contradicts(line, "CapPrm:", 0)) return 5;
                         if (contradicts(line, "NoNewPrivs:", 1)) return 6;
                       }
                       std::fclose(file);
                       return 0;
                     }),
            0);
}

TEST(SandboxOff, LeavesAProcessForItsDebugger) {
  EXPECT_EQ(confined(SandboxProfile::Off, [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 1; }), 0);
}

#if !__has_feature(thread_sanitizer)
TEST(BeforeExec, MappingsLieFarFromWhereAGuestsHeapIs) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    arrangeBeforeExec(parent);
    ::execl("/bin/sh", "sh", "-c",
            "grep -q ' /.*libc' /proc/self/maps && ! grep -q '^7[0-9a-f]*-.*libc' /proc/self/maps", nullptr);
    ::_exit(99);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

}  // namespace
}  // namespace vgpu::link
