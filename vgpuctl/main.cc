// vgpuctl: the command-line tool. One process, one thread. `run` must start in a few milliseconds, so this
// program links nothing but base; what speaks gRPC is another program, libexec/vgpu/vgpuctl-control, which
// this one becomes.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "vgpuctl/doctor.h"
#include "vgpuctl/installation.h"
#include "vgpuctl/run.h"

namespace vgpu::vgpuctl {
namespace {

constexpr const char* kUsage =
    "usage: vgpuctl COMMAND\n"
    "  run [--] PROGRAM [ARGUMENTS...]   run a CUDA program on a virtual GPU\n"
    "  ps                                programs that a mediator serves\n"
    "  gpus                              devices that a mediator has\n"
    "  vgpus                             slices of them that it hands out\n"
    "  doctor [PROGRAM]                  say in plain words what is wrong\n"
    "  version\n"
    "`vgpuctl COMMAND --help` says more.\n";

int becomeControlProgram(char** words) {
  Result<Installation> installation = Installation::ofThisProgram();
  if (!installation) {
    std::fprintf(stderr, "vgpuctl: %s\n", installation.error().message().c_str());
    return 1;
  }
  const std::string program = installation->internal + "/vgpuctl-control";
  ::execv(program.c_str(), words);
  std::fprintf(stderr, "vgpuctl: %s: %s\n", program.c_str(), std::strerror(errno));
  return 1;
}

int main(int count, char** words) {
  const std::string_view command = count > 1 ? words[1] : "";
  const std::span<char* const> rest(words + (count > 1 ? 2 : 1), words + count);
  if (command == "run") return run(rest);
  if (command == "doctor") return doctor(rest);
  if (command == "ps" || command == "gpus" || command == "vgpus") return becomeControlProgram(words);
  if (command == "version" || command == "--version") {
    std::puts("vgpuctl " VGPU_VERSION);
    return 0;
  }
  const bool asked = command == "help" || command == "--help" || command == "-h";
  std::fputs(kUsage, asked ? stdout : stderr);
  return asked ? 0 : 2;
}

}  // namespace
}  // namespace vgpu::vgpuctl

int main(int count, char** words) { return vgpu::vgpuctl::main(count, words); }
