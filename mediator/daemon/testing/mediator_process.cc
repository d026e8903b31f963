#include "mediator/daemon/testing/mediator_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace vgpu::daemon {
namespace {

namespace files = std::filesystem;
using namespace std::chrono_literals;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string readAll(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  return text;
}

}  // namespace

std::string buildFolder() { return files::read_symlink("/proc/self/exe").parent_path().parent_path(); }

MediatorProcess::MediatorProcess(std::vector<std::string> options) {
  char folder[] = "/tmp/vgpu-test-XXXXXX";
  folder_ = ::mkdtemp(folder);
  writeConfiguration("");
  std::vector<std::string> words = {buildFolder() + "/bin/vgpu-mediator",
                                    "--configuration=" + folder_ + "/mediator.yaml",
                                    "--set=endpoints=unix:" + socketPath(),
                                    "--set=control.socket=" + controlPath(),
                                    "--set=vgpus.directory=" + folder_ + "/gpus",
                                    "--set=metrics.address=127.0.0.1:0",
                                    "--set=cache.directory=" + folder_ + "/cache",
                                    "--set=executor.driver=cpu",
                                    "--set=executor.program=" + buildFolder() + "/tests/vgpu-link-executor",
                                    "--ready-fd=100"};
  words.insert(words.end(), options.begin(), options.end());
  int ready[2];
  EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log = ::open((folder_ + "/log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::dup2(log, 2);
    ::dup2(ready[1], 100);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    ::_exit(126);
  }
  ::close(ready[1]);
  readiness_ = readAll(ready[0]);
  ::close(ready[0]);
  if (readiness_.ends_with('\n')) readiness_.pop_back();
}

MediatorProcess::~MediatorProcess() {
  if (pid_ > 0) {
    signal(SIGKILL);
    wait(10s);
  }
  // A sanitizer's report in another process would otherwise go unseen.
  EXPECT_EQ(log().find("Sanitizer"), std::string::npos);
  if (testing::Test::HasFailure()) std::fprintf(stderr, "--- log of the mediator\n%s---\n", log().c_str());
  files::remove_all(folder_);
}

UniqueFd MediatorProcess::connect(const std::string& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return UniqueFd();
  return socket;
}

std::string MediatorProcess::log() const { return contents(folder_ + "/log"); }

std::string MediatorProcess::metrics() const {
  const std::string text = log();
  const std::string marker = "metrics=127.0.0.1:";
  const size_t at = text.find(marker);
  if (at == std::string::npos) return "";
  UniqueFd socket = connectTcp(std::stoi(text.substr(at + marker.size())));
  if (!socket.valid()) return "";
  const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
  EXPECT_EQ(::send(socket.get(), request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  return readAll(socket.get());
}

double MediatorProcess::metric(const std::string& series) const {
  const std::string text = metrics();
  const size_t at = text.find("\n" + series + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

void MediatorProcess::signal(int number) const { ::kill(pid_, number); }

int MediatorProcess::wait(std::chrono::milliseconds longest) {
  int status = 0;
  if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, longest)) return -1000;
  pid_ = -1;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void MediatorProcess::writeConfiguration(const std::string& yaml) const {
  std::ofstream(folder_ + "/mediator.yaml") << yaml;
}

UniqueFd connectTcp(int port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return UniqueFd();
  return socket;
}

bool tell(int socket, char letter) {
  if (::send(socket, &letter, 1, MSG_NOSIGNAL) != 1) return false;
  char echo = 0;
  return ::recv(socket, &echo, 1, 0) == 1 && echo == letter;
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds longest) {
  const auto end = std::chrono::steady_clock::now() + longest;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

bool connectionEnds(int socket, std::chrono::milliseconds longest) {
  pollfd waited{socket, POLLIN, 0};
  if (::poll(&waited, 1, static_cast<int>(longest.count())) != 1) return false;
  char byte;
  return ::recv(socket, &byte, 1, MSG_DONTWAIT) <= 0;
}

}  // namespace vgpu::daemon
