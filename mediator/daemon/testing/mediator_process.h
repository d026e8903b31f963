// A real vgpu-mediator in a folder of its own, for tests: started, asked, signalled, and gone at the end.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace vgpu::daemon {

class MediatorProcess {
 public:
  // `options` are appended to the command line; the executor is the test's unless they say otherwise.
  explicit MediatorProcess(std::vector<std::string> options = {});
  ~MediatorProcess();

  const std::string& folder() const { return folder_; }
  std::string socketPath() const { return folder_ + "/mediator.sock"; }
  std::string controlPath() const { return folder_ + "/control.sock"; }
  std::string vgpuPath(const std::string& name) const { return folder_ + "/gpus/" + name + "/vgpu.sock"; }
  std::string readiness() const { return readiness_; }  // "ready", or what went wrong
  pid_t pid() const { return pid_; }

  UniqueFd connect() const { return connect(socketPath()); }  // invalid: nobody accepts
  static UniqueFd connect(const std::string& path);
  std::string log() const;
  std::string metrics() const;  // the text of /metrics
  // The value of the line that begins with `series`, -1 where there is none.
  double metric(const std::string& series) const;
  void signal(int number) const;
  // Its exit code, or minus the signal; -1000 when it has not ended in time.
  int wait(std::chrono::milliseconds longest);
  void writeConfiguration(const std::string& yaml) const;

 private:
  std::string folder_, readiness_;
  pid_t pid_ = -1;
};

// The folder of build/<preset>.
std::string buildFolder();
UniqueFd connectTcp(int port);
// Sends one letter to a test executor and waits for its echo; false: the connection ended instead.
bool tell(int socket, char letter);
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds longest = std::chrono::seconds(10));
bool connectionEnds(int socket, std::chrono::milliseconds longest);

}  // namespace vgpu::daemon
