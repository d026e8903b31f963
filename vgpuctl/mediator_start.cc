#include "vgpuctl/mediator_start.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/unique_fd.h"

namespace vgpu::vgpuctl {
namespace {

constexpr int kAnswerMilliseconds = 5000;
constexpr int kStartMilliseconds = 20000;  // NVIDIA's driver is not loaded here, but the machine may be busy
constexpr int kReadyFd = 3;
// Covers a program's pause between two processes that use CUDA, one after the other.
constexpr const char* kIdleExitSeconds = "3";

// Everything that comes until the other side closes, or nothing more in time.
std::string readFor(int fd, int milliseconds) {
  std::string text;
  char buffer[512];
  pollfd waited{fd, POLLIN, 0};
  while (text.size() < 4096 && ::poll(&waited, 1, milliseconds) == 1) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::vector<std::string> mediatorCommand(const Installation& installation, const RuntimeFolder& folder) {
  const std::string configuration = userConfigurationFile();
  std::vector<std::string> words = {installation.mediator(),
                                    "--configuration",
                                    configuration.empty() ? "/dev/null" : configuration,
                                    "--default",
                                    "executor.driver=cpu",
                                    "--default",
                                    "metrics.address=off",
                                    "--default",
                                    "cache.directory=" + userCacheFolder(),
                                    "--default",
                                    "drain.wait=2s",
                                    "--default",
                                    "socket_mode=0600",
                                    "--set",
                                    "endpoints=[\"unix:" + folder.socket() + "\"]",
                                    "--set",
                                    "control.socket=" + folder.control(),
                                    "--idle-exit",
                                    kIdleExitSeconds,
                                    "--ready-fd",
                                    std::to_string(kReadyFd)};
  return words;
}

// In the grandchild: nothing of the user's terminal, signals, descriptors or preloads goes along.
[[noreturn]] void becomeMediator(std::vector<std::string>& words, int log, int ready) {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < 32; ++number) ::sigaction(number, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(077);
  // Parked high first, so that no duplicate lands on another's number.
  const int parkedLog = ::fcntl(log, F_DUPFD, 100), parkedReady = ::fcntl(ready, F_DUPFD, 100);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(parkedLog, STDOUT_FILENO);
  ::dup2(parkedLog, STDERR_FILENO);
  ::dup2(parkedReady, kReadyFd);
  ::syscall(SYS_close_range, kReadyFd + 1, ~0U, 0);
  for (const char* variable : {"LD_AUDIT", "LD_PRELOAD", "VGPU_LOG", "VGPU_ENDPOINT", "VGPU_STRICT"})
    ::unsetenv(variable);
  if (::chdir("/") != 0) ::_exit(126);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  const std::string line = words[0] + ": " + std::strerror(errno) + "\n";
  [[maybe_unused]] const ssize_t written = ::write(kReadyFd, line.data(), line.size());
  ::_exit(127);
}

// Twice forked: the mediator is nobody's child, so that the program that we become never waits for it by
// mistake.
Status spawnDetached(std::vector<std::string> words, int log, int ready) {
  const pid_t child = ::fork();
  if (child < 0) return errnoError("fork");
  if (child == 0) {
    ::setsid();
    const pid_t grandchild = ::fork();
    if (grandchild == 0) becomeMediator(words, log, ready);
    ::_exit(grandchild < 0 ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? success()
                                                       : Status(Error{"start the mediator", "fork failed"});
}

Status startMediator(const Installation& installation, const RuntimeFolder& folder) {
  const std::string old = folder.log() + ".old";
  ::rename(folder.log().c_str(), old.c_str());
  UniqueFd log(::open(folder.log().c_str(), O_CREAT | O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!log.valid()) return errnoError("open " + folder.log());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errnoError("pipe");
  UniqueFd ready(ends[0]), readyWriter(ends[1]);
  Status spawned = spawnDetached(mediatorCommand(installation, folder), log.get(), readyWriter.get());
  if (!spawned) return spawned;
  readyWriter.reset();
  const std::string said = readFor(ready.get(), kStartMilliseconds);
  if (said == "ready") return success();
  return Error{"start a mediator (log: " + folder.log() + ")",
               said.empty() ? "it ended without a word" : said};
}

// Held while one looks again and starts; the kernel gives it up when its holder ends, however that happens.
Result<UniqueFd> lockStart(const RuntimeFolder& folder) {
  UniqueFd lock(::open(folder.lock().c_str(), O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock.valid()) return errnoError("open " + folder.lock());
  while (::flock(lock.get(), LOCK_EX) < 0) {
    if (errno != EINTR) return errnoError("lock " + folder.lock());
  }
  return lock;
}

}  // namespace

Result<MediatorAnswer> announcePresence(const std::string& presenceSocket) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return errnoError("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (presenceSocket.size() > kLongestSocketPath)
    return Error{presenceSocket, "is too long for a socket", ENAMETOOLONG};
  presenceSocket.copy(address.sun_path, kLongestSocketPath);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    return errnoError("connect " + presenceSocket);
  }
  const std::string line = readFor(socket.get(), kAnswerMilliseconds);
  const std::string name = "vgpu-mediator ";
  // Without a line it is just ending, and did not count us.
  if (!line.starts_with(name)) return Error{presenceSocket, "no mediator answers there", ECONNREFUSED};
  return MediatorAnswer{line.substr(name.size())};
}

Result<std::string> ensureMediator(const Installation& installation) {
  const RuntimeFolder system = systemRuntimeFolder();
  if (announcePresence(system.presence())) return "unix:" + system.socket();
  Result<RuntimeFolder> folder = userRuntimeFolder(true);
  if (!folder) return folder.error();
  const std::string endpoint = "unix:" + folder->socket();
  if (announcePresence(folder->presence())) return endpoint;

  Result<UniqueFd> lock = lockStart(*folder);
  if (!lock) return lock.error();
  // A mediator that was just ending may answer the first and not the second: then one more is started.
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (announcePresence(folder->presence())) return endpoint;
    if (Status started = startMediator(installation, *folder); !started) return started.error();
  }
  if (announcePresence(folder->presence())) return endpoint;
  return Error{"start a mediator", "it ends at once; see " + folder->log()};
}

}  // namespace vgpu::vgpuctl
