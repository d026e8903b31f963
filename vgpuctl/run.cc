#include "vgpuctl/run.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "vgpuctl/environment.h"
#include "vgpuctl/installation.h"
#include "vgpuctl/mediator_start.h"
#include "vgpuctl/program.h"

namespace vgpu::vgpuctl {
namespace {

constexpr int kOurFailure = 125;  // as env, nohup and timeout use it

constexpr const char* kUsage =
    "usage: vgpuctl run [--endpoint ENDPOINT] [--strict] [--] PROGRAM [ARGUMENTS...]\n"
    "Runs a CUDA program on a virtual GPU. Without --endpoint (or VGPU_ENDPOINT) a mediator that is running "
    "is used,\n"
    "or one with the CPU driver is started; it ends after its last program.\n"
    "  --endpoint ENDPOINT  unix:PATH, unix-stream:PATH or tcp:HOST:PORT\n"
    "  --strict             every call waits for its outcome, for finding faults\n";

int fail(const std::string& what, int code) {
  std::fprintf(stderr, "vgpuctl: %s\n", what.c_str());
  return code;
}

}  // namespace

Result<RunOptions> parseRunOptions(std::span<char* const> words) {
  RunOptions options;
  size_t at = 0;
  for (; at < words.size(); ++at) {
    const std::string_view word = words[at];
    if (word == "--") {
      ++at;
      break;
    }
    if (!word.starts_with('-')) break;
    if (word == "--strict") {
      options.strict = true;
    } else if (word == "--help" || word == "-h") {
      options.help = true;
      return options;
    } else if (word.starts_with("--endpoint=")) {
      options.endpoint = word.substr(word.find('=') + 1);
    } else if (word == "--endpoint" && at + 1 < words.size()) {
      options.endpoint = words[++at];
    } else {
      return Error{std::string(word), "unknown option, or its value is missing"};
    }
  }
  options.command.assign(words.begin() + static_cast<ptrdiff_t>(at), words.end());
  if (options.command.empty()) return Error{"run", "which program?"};
  options.command.push_back(nullptr);
  return options;
}

int run(std::span<char* const> words) {
  Result<RunOptions> options = parseRunOptions(words);
  if (!options) {
    std::fprintf(stderr, "vgpuctl: %s\n%s", options.error().message().c_str(), kUsage);
    return kOurFailure;
  }
  if (options->help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  const FoundProgram program = findProgram(options->command[0]);
  if (program.exitCode != 0) return fail(program.path + ": " + program.reason, program.exitCode);
  Result<Installation> installation = Installation::ofThisProgram();
  if (!installation) return fail(installation.error().message(), kOurFailure);

  std::string endpoint = options->endpoint;
  if (const char* named = std::getenv("VGPU_ENDPOINT"); endpoint.empty() && named != nullptr)
    endpoint = named;
  if (endpoint.empty()) {
    Result<std::string> found = ensureMediator(*installation);
    if (!found) return fail(found.error().message() + " (vgpuctl doctor says more)", kOurFailure);
    endpoint = std::move(*found);
  }
  prepareEnvironment(*installation, endpoint, options->strict);
  // By the name that the user gave: execvp finds the same file, and runs a script without #! as a shell
  // would.
  ::execvp(options->command[0], options->command.data());
  return fail(program.path + ": " + std::strerror(errno), errno == ENOENT ? kNotFound : kNotExecutable);
}

}  // namespace vgpu::vgpuctl
