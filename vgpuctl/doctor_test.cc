#include "vgpuctl/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "vgpuctl/elf_program.h"
#include "vgpuctl/environment.h"

namespace vgpu::vgpuctl {
namespace {

namespace files = std::filesystem;
using testing::HasSubstr;

class Doctor : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/vgpuctl-doctor-XXXXXX";
    folder_ = ::mkdtemp(folder);
  }
  void TearDown() override { files::remove_all(folder_); }

  std::string make(const std::string& name, const std::string& bytes, mode_t mode = 0700) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    ::chmod(path.c_str(), mode);
    return path;
  }
  static std::string told(const Findings& findings, Finding::Kind kind) {
    std::string text;
    for (const Finding& finding : findings) text += finding.kind == kind ? finding.text + "\n" : "";
    return text;
  }
  static std::string problems(const Findings& findings) { return told(findings, Finding::Kind::Problem); }

  std::string folder_;
};

TEST_F(Doctor, MissingPartsOfTheInstallationAreNamed) {
  Installation installation{folder_, folder_, folder_, folder_};
  const std::string text = problems(examineInstallation(installation));
  EXPECT_THAT(text, HasSubstr("libcuda.so.1 is missing"));
  EXPECT_THAT(text, HasSubstr("vgpu-executor is missing"));
}

TEST_F(Doctor, AnAlpineImageIsRecognised) {
  files::create_directory(folder_ + "/lib");
  make("lib/ld-musl-x86_64.so.1", "");
  EXPECT_THAT(problems(examineSystem(folder_)), HasSubstr("musl and no glibc"));
  EXPECT_EQ(problems(examineSystem()), "");
}

TEST_F(Doctor, AnAbsentMediatorIsNamedWithItsSocket) {
  EXPECT_THAT(told(examineMediator("unix:" + folder_ + "/mediator.sock"), Finding::Kind::Note),
              HasSubstr("there is no " + folder_ + "/mediator.sock"));
}

TEST_F(Doctor, ASocketThatNobodyListensOnIsADeadMediator) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder_ + "/mediator.sock.presence").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(told(examineMediator("unix:" + folder_ + "/mediator.sock"), Finding::Kind::Note),
              HasSubstr("left"));
}

TEST_F(Doctor, ProgramsAreJudgedByTheirFile) {
  EXPECT_THAT(problems(examineProgram("/no/such")), HasSubstr("No such file"));
  EXPECT_THAT(told(examineProgram(make("script", "#!/bin/sh\n")), Finding::Kind::Note), HasSubstr("script"));
  EXPECT_THAT(problems(examineProgram(make("setuid", "#!/bin/sh\n", 04755))), HasSubstr("set-user-id"));
  EXPECT_EQ(problems(examineProgram("/bin/true")), "");
}

TEST_F(Doctor, ABrokenElfFileIsNoTrap) {
  std::ifstream file("/bin/true", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  for (size_t at = 16; at < 64; ++at) {
    std::string broken = bytes;
    broken[at] = static_cast<char>(0xff);
    (void)examineProgram(make("broken", broken));
  }
  for (size_t length : {size_t{1}, size_t{17}, size_t{63}, size_t{64}, bytes.size() / 2}) {
    (void)examineProgram(make("cut", bytes.substr(0, length)));
  }
}

TEST(ElfProgram, ReadsWhatADynamicProgramNeeds) {
  auto program = readElfProgram("/proc/self/exe");
  ASSERT_TRUE(program.ok());
  EXPECT_TRUE(program->isElf && program->is64Bit && program->isX86 && program->hasSymbols);
  EXPECT_THAT(program->interpreter, HasSubstr("ld-linux"));
  EXPECT_THAT(program->libraries, testing::Contains(HasSubstr("libc.so")));
  EXPECT_FALSE(program->hasDeviceCode);
}

TEST(Environment, OurFolderComesFirstAndOnce) {
  EXPECT_EQ(prepended("/a", ""), "/a");
  EXPECT_EQ(prepended("/a", "/b:/c"), "/a:/b:/c");
  EXPECT_EQ(prepended("/a", "/a:/b"), "/a:/b");
  EXPECT_EQ(prepended("/a", "/a"), "/a");
}

}  // namespace
}  // namespace vgpu::vgpuctl
