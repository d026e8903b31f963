// vgpuctl as a process: what its user sees, with a mediator that it starts. The executor is the daemon's test
// executor, because nothing here computes.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include "base/unique_fd.h"

namespace vgpu::vgpuctl {
namespace {

namespace files = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

std::string buildFolder() { return files::read_symlink("/proc/self/exe").parent_path().parent_path(); }

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds longest = 15s) {
  const auto end = std::chrono::steady_clock::now() + longest;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

struct Outcome {
  pid_t pid = 0;
  int code = 0;  // exit code, or minus the signal
  std::string out, err;
};

// A user with an empty home and a runtime folder of his own.
class Vgpuctl : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/vgpuctl-test-XXXXXX";
    home_ = ::mkdtemp(folder);
    files::create_directories(home_ + "/.config/vgpu");
    files::create_directory(home_ + "/run");
    std::ofstream(home_ + "/.config/vgpu/mediator.yaml")
        << "executor:\n  program: " << buildFolder() << "/tests/vgpu-link-executor\n";
  }

  void TearDown() override {
    if (const pid_t mediator = mediatorProcess(); mediator > 0) ::kill(mediator, SIGTERM);
    EXPECT_TRUE(eventually([&] { return !mediatorLives(); }));
    if (HasFailure())
      std::fprintf(stderr, "--- log of the mediator\n%s---\n", contents(mediatorLog()).c_str());
    files::remove_all(home_);
  }

  pid_t start(std::vector<std::string> words, const std::function<void()>& before = [] {}) {
    words.insert(words.begin(), buildFolder() + "/bin/vgpuctl");
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::setenv("HOME", home_.c_str(), 1);
    ::setenv("XDG_RUNTIME_DIR", (home_ + "/run").c_str(), 1);
    for (const char* name : {"VGPU_ENDPOINT", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "LD_AUDIT"})
      ::unsetenv(name);
    before();
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    ::_exit(99);
  }

  Outcome finish(pid_t child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return {child, WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), "", ""};
  }

  Outcome vgpuctl(const std::vector<std::string>& words) {
    Outcome outcome = finish(start(words, [&] {
      ::dup2(::open((home_ + "/out").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), 1);
      ::dup2(::open((home_ + "/err").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), 2);
    }));
    outcome.out = contents(home_ + "/out");
    outcome.err = contents(home_ + "/err");
    return outcome;
  }

  // Whoever listens at the presence socket; 0: nobody.
  pid_t mediatorProcess() const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (home_ + "/run/vgpu/mediator.sock.presence").copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 0;
    struct ucred peer{};
    socklen_t length = sizeof peer;
    return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
  }

  std::string mediatorLog() const { return home_ + "/run/vgpu/mediator.log"; }
  bool mediatorLives() const { return files::exists(home_ + "/run/vgpu/mediator.sock"); }

  std::string home_;
};

TEST_F(Vgpuctl, TheProgramsOutputAndExitCodeAreItsOwn) {
  const Outcome outcome = vgpuctl({"run", "sh", "-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(outcome.code, 7);
  EXPECT_EQ(outcome.out, "out\n");
  EXPECT_EQ(outcome.err, "err\n");
}

TEST_F(Vgpuctl, TheProgramHasTheProcessIdOfVgpuctl) {
  const Outcome outcome = vgpuctl({"run", "--", "sh", "-c", "echo $$"});
  EXPECT_EQ(outcome.out, std::to_string(outcome.pid) + "\n");
}

TEST_F(Vgpuctl, ASignalThatEndsTheProgramIsSeen) {
  EXPECT_EQ(vgpuctl({"run", "sh", "-c", "kill -SEGV $$"}).code, -SIGSEGV);
}

TEST_F(Vgpuctl, AnAbsentProgramIs127AndStartsNothing) {
  const Outcome outcome = vgpuctl({"run", "no-such-program"});
  EXPECT_EQ(outcome.code, 127);
  EXPECT_EQ(outcome.err, "vgpuctl: no-such-program: command not found\n");
  EXPECT_EQ(vgpuctl({"run", "/no/such/program"}).code, 127);
  EXPECT_FALSE(mediatorLives());
}

TEST_F(Vgpuctl, AProgramThatMayNotBeExecutedIs126) {
  EXPECT_EQ(vgpuctl({"run", "/etc/passwd"}).code, 126);
  EXPECT_EQ(vgpuctl({"run", "/etc"}).code, 126);
}

TEST_F(Vgpuctl, AScriptWithoutAnInterpreterRunsAsInAShell) {
  std::ofstream(home_ + "/script") << "exit 5\n";
  ::chmod((home_ + "/script").c_str(), 0700);
  EXPECT_EQ(vgpuctl({"run", home_ + "/script"}).code, 5);
}

TEST_F(Vgpuctl, TheProgramHasNoDescriptorOrChildOfOurs) {
  const Outcome outcome = vgpuctl({"run", "sh", "-c",
                                   "for f in /proc/$$/fd/*; do readlink $f; done | grep -c vgpu/mediator; "
                                   "cat /proc/$$/task/$$/children"});
  EXPECT_EQ(outcome.out.substr(0, 2), "0\n");
  // The only child while cat runs is cat.
  EXPECT_EQ(std::count(outcome.out.begin() + 2, outcome.out.end(), ' '), 1) << outcome.out;
}

TEST_F(Vgpuctl, TheProgramIsPointedAtOurLibraries) {
  const Outcome outcome =
      vgpuctl({"run", "--strict", "sh", "-c", "echo $LD_LIBRARY_PATH $VGPU_ENDPOINT $VGPU_STRICT"});
  EXPECT_THAT(outcome.out, HasSubstr(buildFolder() + "/lib/vgpu"));
  EXPECT_THAT(outcome.out, HasSubstr(" unix:" + home_ + "/run/vgpu/mediator.sock 1\n"));
}

TEST_F(Vgpuctl, ANamedEndpointIsTakenAsItIs) {
  EXPECT_EQ(vgpuctl({"run", "--endpoint", "tcp:127.0.0.1:1", "sh", "-c", "echo $VGPU_ENDPOINT"}).out,
            "tcp:127.0.0.1:1\n");
  EXPECT_FALSE(files::exists(home_ + "/run/vgpu"));
}

TEST_F(Vgpuctl, ManyAtOnceStartOneMediator) {
  std::array<pid_t, 8> children;
  for (pid_t& child : children) child = start({"run", "sleep", "0.3"});
  for (pid_t child : children) EXPECT_EQ(finish(child).code, 0);
  const std::string log = contents(mediatorLog());
  EXPECT_THAT(log, HasSubstr("mediator is ready"));
  EXPECT_EQ(log.find("mediator is ready"), log.rfind("mediator is ready"));
  EXPECT_FALSE(files::exists(mediatorLog() + ".old"));
}

TEST_F(Vgpuctl, TheMediatorStaysWhileTheProgramLives) {
  const pid_t child = start({"run", "sleep", "6"});
  ASSERT_TRUE(eventually([&] { return mediatorLives(); }));
  std::this_thread::sleep_for(4500ms);  // longer than the idle time
  EXPECT_TRUE(mediatorLives());
  ::kill(child, SIGKILL);
  finish(child);
  EXPECT_TRUE(eventually([&] { return !mediatorLives(); })) << "it outlived its last client";
}

TEST_F(Vgpuctl, InterruptingTheTerminalsProgramsLeavesTheMediator) {
  const pid_t child = start({"run", "sleep", "30"}, [] { ::setpgid(0, 0); });
  ASSERT_TRUE(eventually([&] { return contents(mediatorLog()).find("ready") != std::string::npos; }));
  ASSERT_TRUE(eventually([&] { return contents("/proc/" + std::to_string(child) + "/comm") == "sleep\n"; }));
  ::kill(-child, SIGINT);
  EXPECT_EQ(finish(child).code, -SIGINT);
  EXPECT_EQ(vgpuctl({"run", "true"}).code, 0);
  EXPECT_EQ(contents(mediatorLog()).find("draining"), std::string::npos);
}

TEST_F(Vgpuctl, TheTerminalIsTheProgramsOwn) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    const pid_t inner = start(
        {"run", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo terminal > " + home_ + "/out"});
    ::_exit(finish(inner).code);
  }
  char buffer[256];
  while (::read(terminal, buffer, sizeof buffer) > 0) {
  }
  EXPECT_EQ(finish(child).code, 0);
  EXPECT_EQ(contents(home_ + "/out"), "terminal\n");
  ::close(terminal);
}

TEST_F(Vgpuctl, ARuntimeFolderOpenToOthersIsRefused) {
  files::create_directory(home_ + "/run/vgpu");
  ::chmod((home_ + "/run/vgpu").c_str(), 0777);
  const Outcome outcome = vgpuctl({"run", "true"});
  EXPECT_EQ(outcome.code, 125);
  EXPECT_THAT(outcome.err, HasSubstr("is open to other users"));
}

TEST_F(Vgpuctl, AMediatorThatCannotStartIsExplained) {
  std::ofstream(home_ + "/.config/vgpu/mediator.yaml") << "sessions:\n  many: 3\n";
  const Outcome outcome = vgpuctl({"run", "true"});
  EXPECT_EQ(outcome.code, 125);
  EXPECT_THAT(outcome.err, HasSubstr("mediator.yaml:2:3: sessions.many: unknown key"));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

TEST_F(Vgpuctl, PsAndGpusAskTheMediator) {
  const pid_t child = start({"run", "sleep", "60"});
  ASSERT_TRUE(eventually([&] { return vgpuctl({"gpus"}).out.find("test device") != std::string::npos; }));
  EXPECT_THAT(vgpuctl({"ps"}).out, HasSubstr("SESSION"));
  EXPECT_THAT(vgpuctl({"gpus", "--json"}).out, HasSubstr("\"uuid\": \"GPU-test\""));
  ::kill(child, SIGKILL);
  finish(child);
}

TEST_F(Vgpuctl, PsWithoutAMediatorSaysSo) {
  const Outcome outcome = vgpuctl({"ps"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("no mediator is running"));
}

TEST_F(Vgpuctl, DoctorStartsNothing) {
  EXPECT_THAT(vgpuctl({"doctor", "/bin/true"}).out,
              HasSubstr("your own mediator is not running; vgpuctl run starts one"));
  EXPECT_FALSE(files::exists(home_ + "/run/vgpu"));
}

}  // namespace
}  // namespace vgpu::vgpuctl
