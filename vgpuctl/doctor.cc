#include "vgpuctl/doctor.h"

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "vgpuctl/elf_program.h"
#include "vgpuctl/mediator_start.h"
#include "vgpuctl/program.h"

namespace vgpu::vgpuctl {
namespace {

using Kind = Finding::Kind;

void add(Findings& to, Kind kind, std::string text) { to.push_back({kind, std::move(text)}); }

bool matches(const std::string& pattern) {
  glob_t found{};
  const bool any = ::glob(pattern.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc > 0;
  ::globfree(&found);
  return any;
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Findings examinePresence(const RuntimeFolder& folder, const std::string& who, bool mayBeStarted) {
  Findings findings;
  const Result<MediatorAnswer> answer = announcePresence(folder.presence());
  const std::string socket = folder.socket();
  if (answer) {
    if (answer.value().version != VGPU_VERSION) {
      add(findings, Kind::Problem,
          who + " at " + socket + " is of version " + answer.value().version +
              ", this is " VGPU_VERSION ": install the same version on both sides");
    } else {
      add(findings, Kind::Good, who + " answers at " + socket);
    }
    return findings;
  }
  const std::string start = mayBeStarted ? "; vgpuctl run starts one" : "";
  switch (answer.error().code) {
    case ENOENT:
      add(findings, Kind::Note, who + " is not running (there is no " + socket + ")" + start);
      break;
    case ECONNREFUSED:
      add(findings, Kind::Note, who + " has ended and left " + socket + " behind" + start);
      break;
    case EACCES:
      add(findings, Kind::Problem,
          who + " is there, but you may not use " + socket +
              ": ask its administrator for the group of that file, or for socket_mode in "
              "/etc/vgpu/mediator.yaml");
      break;
    default:
      add(findings, Kind::Problem, who + " does not answer: " + answer.error().message());
  }
  return findings;
}

void append(Findings& to, Findings more) { to.insert(to.end(), more.begin(), more.end()); }

void examineRuntime(const ElfProgram& program, Findings& findings) {
  const auto needs = [&](std::string_view name) {
    return std::ranges::any_of(program.libraries,
                               [&](const std::string& library) { return library.starts_with(name); });
  };
  for (const std::string& library : program.libraries) {
    const bool known = library == "libcudart.so.12" || library == "libcudart.so.13";
    if (library.starts_with("libcudart.so.") && !known) {
      add(findings, Kind::Problem, "it was built for " + library + "; versions 12 and 13 are supported");
    }
  }
  if (needs("libcudart.so")) {
    add(findings, Kind::Good, "it uses the shared CUDA runtime");
  } else if (program.hasStaticRuntime) {
    add(findings, Kind::Good,
        "NVIDIA's runtime is linked in and its symbols are there: it is redirected at start");
  } else if (program.hasDeviceCode && !program.hasSymbols) {
    add(findings, Kind::Problem,
        "it has CUDA code, NVIDIA's runtime linked in, and was stripped of its symbols: link it with -cudart "
        "shared, "
        "or do not strip it");
  } else if (needs("libcuda.so")) {
    add(findings, Kind::Good, "it uses the CUDA driver directly");
  } else if (!program.hasDeviceCode) {
    add(findings, Kind::Note, "it has no CUDA code of its own; libraries that it loads may");
  }
}

}  // namespace

Findings examineInstallation(const Installation& installation) {
  Findings findings;
  std::vector<std::string> missing;
  const auto need = [&](const std::string& path) {
    if (::access(path.c_str(), R_OK) != 0) missing.push_back(path);
  };
  for (const char* library : {"libcuda.so.1", "libcudart.so.12", "libcudart.so.13", "libvgpu-audit.so"}) {
    need(installation.guestLibraries + "/" + library);
  }
  need(installation.mediator());
  need(installation.executor());
  need(installation.cpuDriver());
  need(installation.hostLibraries + "/libvgpu-jit.so");
  for (const std::string& path : missing) {
    add(findings, Kind::Problem,
        path + " is missing or not readable: install vgpu again, or build all of it");
  }
  if (missing.empty())
    add(findings, Kind::Good, "the installation in " + installation.programs + " is complete");
  return findings;
}

Findings examineSystem(const std::string& root) {
  Findings findings;
  const bool glibc =
      matches(root + "/lib64/ld-linux-x86-64.so.2") || matches(root + "/lib/ld-linux-x86-64.so.2");
  const bool musl = matches(root + "/lib/ld-musl-*.so.1");
  if (!glibc) {
    add(findings, Kind::Problem,
        musl ? "this system has musl and no glibc (Alpine, for example); CUDA programs and our libraries "
               "need glibc: "
               "use an image such as debian or ubuntu"
             : "/lib64/ld-linux-x86-64.so.2 is missing: CUDA programs and our libraries need glibc for "
               "x86-64");
  }
  if (*variable("LD_PRELOAD") != '\0') {
    add(findings, Kind::Note,
        std::string("LD_PRELOAD is set (") + variable("LD_PRELOAD") +
            "); a library in it that has CUDA's names comes before ours");
  }
  if (std::strcmp(variable("VGPU_LOG"), "off") == 0) {
    add(findings, Kind::Note, "VGPU_LOG=off: our libraries say nothing, also not why something failed");
  }
  return findings;
}

Findings examineMediator(const std::string& endpoint) {
  Findings findings;
  if (!endpoint.empty() && !endpoint.starts_with("unix:")) {
    add(findings, Kind::Note,
        "the program would use " + endpoint + "; whether a mediator is there shows when it runs");
    return findings;
  }
  if (!endpoint.empty()) {
    RuntimeFolder named;
    const std::string path = endpoint.substr(5);
    named.path = path.substr(0, path.rfind('/'));
    if (named.socket() == path) return examinePresence(named, "the mediator", false);
    const auto answer = announcePresence(path + ".presence");
    add(findings, answer ? Kind::Good : Kind::Problem,
        answer ? "the mediator answers at " + path : "no mediator answers: " + answer.error().message());
    return findings;
  }
  append(findings, examinePresence(systemRuntimeFolder(), "the system's mediator", false));
  Result<RuntimeFolder> own = userRuntimeFolder(false);
  if (own) {
    append(findings, examinePresence(own.value(), "your own mediator", true));
  } else if (own.error().code == ENOENT) {
    add(findings, Kind::Note, "your own mediator is not running; vgpuctl run starts one");
  } else {
    add(findings, Kind::Problem, "the folder for your own mediator: " + own.error().message());
  }
  return findings;
}

Findings examineProgram(const std::string& name) {
  Findings findings;
  const FoundProgram found = findProgram(name);
  if (found.exitCode != 0) {
    add(findings, Kind::Problem, found.path + ": " + found.reason);
    return findings;
  }
  Result<ElfProgram> read = readElfProgram(found.path);
  if (!read) {
    add(findings, Kind::Problem, read.error().message());
    return findings;
  }
  const ElfProgram& program = *read;
  struct stat status;
  if (::stat(found.path.c_str(), &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) != 0) {
    add(findings, Kind::Problem,
        found.path + " is set-user-id: the system hides our libraries from such programs");
  }
  if (!program.isElf) {
    add(findings, Kind::Note, found.path + " is a script or no program; what it starts is what counts");
  } else if (!program.is64Bit || !program.isX86) {
    add(findings, Kind::Problem, found.path + " is not for 64-bit x86: CUDA has no such programs");
  } else if (program.interpreter.empty()) {
    add(findings, Kind::Problem,
        found.path + " is statically linked as a whole: no library can be put before it");
  } else if (program.interpreter.find("musl") != std::string::npos) {
    add(findings, Kind::Problem, found.path + " was built for musl: CUDA's libraries and ours need glibc");
  } else {
    examineRuntime(program, findings);
  }
  return findings;
}

int doctor(std::span<char* const> words) {
  if (!words.empty() && words[0][0] == '-') {
    std::fputs("usage: vgpuctl doctor [PROGRAM]\n", std::strcmp(words[0], "--help") == 0 ? stdout : stderr);
    return std::strcmp(words[0], "--help") == 0 ? 0 : 2;
  }
  Findings findings;
  Result<Installation> installation = Installation::ofThisProgram();
  if (installation) {
    append(findings, examineInstallation(*installation));
  } else {
    add(findings, Kind::Problem, installation.error().message());
  }
  append(findings, examineSystem());
  append(findings, examineMediator(variable("VGPU_ENDPOINT")));
  if (!words.empty()) append(findings, examineProgram(words[0]));

  bool problems = false;
  for (const Finding& finding : findings) {
    constexpr const char* kMarks[] = {"ok      ", "note    ", "problem "};
    std::printf("%s%s\n", kMarks[static_cast<int>(finding.kind)], finding.text.c_str());
    problems = problems || finding.kind == Kind::Problem;
  }
  return problems ? 1 : 0;
}

}  // namespace vgpu::vgpuctl
