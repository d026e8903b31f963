// Real programs with NVIDIA's runtime linked in, run with the auditor: executables, libraries that they link,
// and libraries loaded later by name and by path. And children that have nothing to do with CUDA.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <string>

#include "shim/audit/static_runtime.h"

namespace {

using testing::HasSubstr;
using vgpu::audit::findStaticRuntime;
using vgpu::audit::MappedFile;
using vgpu::audit::StaticRuntime;

const std::string kPrograms = VGPU_AUDIT_PROGRAMS;
const std::string kAuditor = VGPU_GUEST_LIBRARIES "/libvgpu-audit.so";

struct Outcome {
  std::string text;  // stdout and stderr
  int status;
};

Outcome run(const std::string& command) {
  // The commands are this file's own, and set variables as a shell does.
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "r");  // NOLINT(bugprone-command-processor)
  std::array<char, 4096> buffer{};
  std::string text;
  while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), count);
  return {text, WEXITSTATUS(pclose(pipe))};
}

Outcome audited(const std::string& command, const std::string& settings = "VGPU_LOG=off") {
  return run("env " + settings + " LD_AUDIT=" + kAuditor + " " + command);
}

class LinkedIn : public testing::TestWithParam<int> {
 protected:
  static std::string folder() { return kPrograms + "/" + std::to_string(GetParam()); }
  static std::string ours(const std::string& where) { return where + " " + std::to_string(version()) + "\n"; }
  static int version() { return GetParam() == 12 ? 12090 : 13000; }
};

TEST_P(LinkedIn, isTheVendorsWithoutUs) {
  EXPECT_EQ(run(folder() + "/program").text, "program 0\nlibrary 0\n");
}

TEST_P(LinkedIn, becomesOursInProgramsAndInLibrariesThatTheyLink) {
  EXPECT_EQ(audited(folder() + "/program").text, ours("program") + ours("library"));
}

TEST_P(LinkedIn, becomesOursInLibrariesLoadedByNameThroughARunpath) {
  EXPECT_THAT(audited(folder() + "/program libplugin.so").text, HasSubstr(ours("plugin")));
}

TEST_P(LinkedIn, becomesOursInLibrariesLoadedByPath) {
  EXPECT_THAT(audited(folder() + "/program " + folder() + "/plugins/libplugin.so").text,
              HasSubstr(ours("plugin")));
}

TEST_P(LinkedIn, staysOfItsVersionBesideAnother) {
  std::string other = kPrograms + (GetParam() == 12 ? "/13" : "/12") + "/plugins/libplugin.so";
  EXPECT_THAT(audited(folder() + "/program " + other).text,
              HasSubstr(GetParam() == 12 ? "plugin 13000\n" : "plugin 12090\n"));
}

TEST_P(LinkedIn, staysTheVendorsInAStrippedProgramWhichRunsAsBefore) {
  EXPECT_THAT(audited(folder() + "/program-stripped").text, HasSubstr("program 0\n"));
}

TEST_P(LinkedIn, isFoundWholeInTheSymbolTable) {
  static StaticRuntime runtime;
  ASSERT_TRUE(findStaticRuntime(MappedFile((folder() + "/program").c_str()), &runtime));
  EXPECT_EQ(runtime.version, GetParam());
  EXPECT_GT(runtime.count, 400u);
  for (size_t i = 0; i < runtime.count; ++i) EXPECT_GE(runtime.functions[i].room, 5u) << i;
}

// The file is the user's, and may be cut off or wrong anywhere.
TEST_P(LinkedIn, isLookedForSafelyInDamagedFiles) {
  static StaticRuntime runtime;
  std::ifstream whole(folder() + "/program", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(whole)), {});
  std::string damaged = testing::TempDir() + "damaged" + std::to_string(GetParam());
  for (size_t kept : {0ul, 1ul, 63ul, 64ul, 4096ul, bytes.size() / 2, bytes.size() - 1}) {
    std::ofstream(damaged, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(kept));
    EXPECT_FALSE(findStaticRuntime(MappedFile(damaged.c_str()), &runtime)) << kept;
  }
  for (size_t at = 16; at < 64; ++at) {  // the header's numbers
    std::string wrong = bytes;
    wrong[at] = static_cast<char>(wrong[at] ^ 0xff);
    std::ofstream(damaged, std::ios::binary).write(wrong.data(), static_cast<std::streamsize>(wrong.size()));
    findStaticRuntime(MappedFile(damaged.c_str()), &runtime);
  }
  std::remove(damaged.c_str());
}

INSTANTIATE_TEST_SUITE_P(Runtime, LinkedIn, testing::Values(12, 13), testing::PrintToStringParamName());

TEST(Libraries, areOursWhateverThePathThatAsksForThem) {
  for (const std::string name :
       {"libcudart.so.12", "libcudart.so.13", "/opt/elsewhere/libcudart.so.13",
        "/opt/elsewhere/libcudart.so.12.9.79", "/opt/elsewhere/libcudart-9335f6a2.so.12"}) {
    EXPECT_THAT(audited("python3 -c 'import ctypes; print(ctypes.CDLL(\"" + name + "\"))'").text,
                HasSubstr("<CDLL"))
        << name;
  }
}

TEST(Libraries, areOursBehindAToolkitsLink) {
  std::string link = testing::TempDir() + "libcudart.so";
  std::remove(link.c_str());
  ASSERT_EQ(symlink("libcudart.so.13.0.96", link.c_str()), 0);
  EXPECT_THAT(audited("python3 -c 'import ctypes; print(ctypes.CDLL(\"" + link + "\"))'").text,
              HasSubstr("<CDLL"));
  std::remove(link.c_str());
}

TEST(Libraries, ofOtherNamesStayWhereTheyAre) {
  EXPECT_THAT(audited("python3 -c 'import ctypes; ctypes.CDLL(\"libcudart.so.11.0\")'").text,
              HasSubstr("cannot open shared object file"));
}

TEST(OtherChildren, runAsWithoutUs) {
  for (const std::string command : {"true", "sh -c 'exit 7'", "ls /", "python3 -c 'print(1)'"}) {
    Outcome with = audited(command);
    Outcome without = run(command);
    EXPECT_EQ(with.text, without.text) << command;
    EXPECT_EQ(with.status, without.status) << command;
  }
}

TEST(OtherChildren, loadNoSecondLibc) {
  Outcome maps = audited("cat /proc/self/maps");
  std::string without = run("cat /proc/self/maps").text;
  auto libcs = [](const std::string& text) {
    size_t count = 0;
    for (size_t at = text.find("libc.so.6"); at != std::string::npos; at = text.find("libc.so.6", at + 1))
      ++count;
    return count;
  };
  EXPECT_THAT(maps.text, HasSubstr("libvgpu-audit.so"));
  EXPECT_EQ(libcs(maps.text), libcs(without));
}

}  // namespace
