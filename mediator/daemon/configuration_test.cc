#include "mediator/daemon/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

namespace vgpu::daemon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> mistakes(std::string_view yaml, std::vector<std::string> overrides = {}) {
  std::vector<std::string> lines;
  for (const ConfigurationMistake& mistake : readConfiguration(yaml, overrides).mistakes) {
    lines.push_back(mistake.text("m.yaml"));
  }
  return lines;
}

TEST(Configuration, AnEmptyFileMeansTheDefaults) {
  const ConfigurationOutcome outcome = readConfiguration("");
  EXPECT_THAT(outcome.mistakes, IsEmpty());
  EXPECT_THAT(outcome.configuration.endpoints, ElementsAre("unix:/run/vgpu/mediator.sock"));
  EXPECT_EQ(outcome.configuration.mostSessions, 256u);
  EXPECT_EQ(outcome.configuration.drainWait, std::chrono::seconds(30));
  EXPECT_EQ(outcome.configuration.socketMode, 0666u);
}

// What an executor assumes without a word and what the table gives it are the same.
TEST(Configuration, TheTablesDefaultsAreThoseOfTheExecutorsLimits) {
  const link::ExecutorLimits limits, configured = readConfiguration("").configuration.limits;
  EXPECT_EQ(configured.pinnedBytes, limits.pinnedBytes);
  EXPECT_EQ(configured.windowBytes, limits.windowBytes);
  EXPECT_EQ(configured.spillBytes, limits.spillBytes);
  EXPECT_EQ(configured.outstandingSubmissions, limits.outstandingSubmissions);
  EXPECT_EQ(configured.ringLines, limits.ringLines);
  EXPECT_EQ(configured.eventRingLines, limits.eventRingLines);
  EXPECT_EQ(configured.guestThreads, limits.guestThreads);
  EXPECT_EQ(configured.handles, limits.handles);
  EXPECT_EQ(configured.openFiles, limits.openFiles);
}

TEST(Configuration, ValuesOfEveryTypeAreRead) {
  const ConfigurationOutcome outcome = readConfiguration(
      "endpoints: [\"unix:/a\", \"tcp:127.0.0.1:7\"]\n"
      "socket_mode: 0660\n"
      "sessions: {memory: 80GiB, max: 3, strict: yes}\n"
      "drain:\n  wait: 1500ms\n"
      "log: {format: json, level: debug}\n"
      "executor:\n  readable_paths:\n    - /opt/x\n    - /opt/y\n");
  ASSERT_THAT(outcome.mistakes, IsEmpty());
  const Configuration& c = outcome.configuration;
  EXPECT_THAT(c.endpoints, ElementsAre("unix:/a", "tcp:127.0.0.1:7"));
  EXPECT_EQ(c.socketMode, 0660u);
  EXPECT_EQ(c.limits.memoryBytes, uint64_t{80} << 30);
  EXPECT_EQ(c.mostSessions, 3u);
  EXPECT_TRUE(c.strict);
  EXPECT_EQ(c.drainWait, std::chrono::milliseconds(1500));
  EXPECT_EQ(c.logFormat, link::LogFormat::Json);
  EXPECT_EQ(c.logLevel, log::Level::Debug);
  EXPECT_THAT(c.readablePaths, ElementsAre("/opt/x", "/opt/y"));
}

TEST(Configuration, AnUnknownKeyIsNamedWithItsPlace) {
  EXPECT_THAT(mistakes("log:\n  level: info\n  colour: red\n"),
              ElementsAre("m.yaml:3:3: log.colour: unknown key"));
  EXPECT_THAT(mistakes("sesions: {}\n"), ElementsAre(HasSubstr("m.yaml:1:1: sesions: unknown key")));
  EXPECT_THAT(mistakes("log: {levle: info}\n"), ElementsAre(HasSubstr("did you mean log.level?")));
}

TEST(Configuration, AWrongTypeIsNamedWithItsPlace) {
  EXPECT_THAT(mistakes("sessions:\n  max: many\n"),
              ElementsAre("m.yaml:2:8: sessions.max: must be a whole number, not \"many\""));
  EXPECT_THAT(mistakes("sessions:\n  max: [1]\n"),
              ElementsAre("m.yaml:2:8: sessions.max: must be a whole number"));
  EXPECT_THAT(mistakes("sessions: 7\n"), ElementsAre("m.yaml:1:11: sessions: must be a map of keys"));
  EXPECT_THAT(mistakes("endpoints: unix:/a\n"),
              ElementsAre(HasSubstr("m.yaml:1:12: endpoints: must be a list")));
  EXPECT_THAT(mistakes("log:\n  level:\n"), ElementsAre(HasSubstr("m.yaml:2:3: log.level: has no value")));
  EXPECT_THAT(mistakes("[1, 2]\n"), ElementsAre(HasSubstr("the file must be a map")));
}

TEST(Configuration, AValueOutOfRangeIsNamedWithItsBounds) {
  EXPECT_THAT(mistakes("sessions: {max: 9000}\n"),
              ElementsAre(HasSubstr("must be from 1 to 4096, not 9000")));
  EXPECT_THAT(mistakes("sessions: {window: 1KiB}\n"),
              ElementsAre(HasSubstr("must be from 256KiB to 1GiB, not 1KiB")));
  EXPECT_THAT(mistakes("sessions: {memory: 99999999999999999999GiB}\n"),
              ElementsAre(HasSubstr("must be a size")));
  EXPECT_THAT(mistakes("sessions: {max: -1}\n"), ElementsAre(HasSubstr("must be a whole number")));
  EXPECT_THAT(mistakes("log: {level: loud}\n"),
              ElementsAre(HasSubstr("must be one of: debug info warning error off")));
  EXPECT_THAT(mistakes("sessions: {ring_lines: 5000}\n"),
              ElementsAre(HasSubstr("m.yaml:1:24: sessions.ring_lines: must be a power of two")));
}

TEST(Configuration, SlicesAreRead) {
  const ConfigurationOutcome outcome = readConfiguration(
      "vgpus:\n  directory: /run/x\n  slices:\n"
      "    - {name: big, memory: 40GiB}\n"
      "    - name: h100\n      gpu: 1\n      memory: 20GiB\n      share: 25\n      count: 2\n      profile: "
      "quarter\n");
  ASSERT_THAT(outcome.mistakes, IsEmpty());
  EXPECT_EQ(outcome.configuration.vgpuDirectory, "/run/x");
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  EXPECT_THAT(outcome.configuration.vgpus, ElementsAre(VgpuSlice{"big", 0, 40 * kGiB, 100, "default"},
                                                       VgpuSlice{"h100-0", 1, 20 * kGiB, 25, "quarter"},
                                                       VgpuSlice{"h100-1", 1, 20 * kGiB, 25, "quarter"}));
}

TEST(Configuration, WrongSlicesAreNamedWithTheirPlace) {
  const auto slices = [](const std::string& items) { return mistakes("vgpus: {slices: [" + items + "]}\n"); };
  const std::string a = "{name: a, memory: 1GiB, share: 60}";
  EXPECT_THAT(slices(a + ", " + a),
              ElementsAre(HasSubstr("m.yaml:1:54: vgpus.slices.name: two vGPUs are named \"a\"")));
  EXPECT_THAT(slices(a + ", {name: b, memory: 1GiB, share: 41}"),
              ElementsAre(HasSubstr("vgpus.slices.share: the slices of GPU 0 have 101 % of it together")));
  EXPECT_THAT(slices(a + ", {name: b, memory: 1GiB}"), ElementsAre(HasSubstr("share: is needed")));
  EXPECT_THAT(slices("{name: a}"), ElementsAre(HasSubstr("vgpus.slices.memory: is needed")));
  EXPECT_THAT(slices("{name: A_b, memory: 1GiB}"), ElementsAre(HasSubstr("must be lower-case letters")));
  EXPECT_THAT(slices("{name: a, memory: 1GiB, colour: red}"),
              ElementsAre(HasSubstr("unknown key of a slice")));
  EXPECT_THAT(slices("{name: a, memory: much}"),
              ElementsAre(HasSubstr("vgpus.slices.memory: must be a size")));
  EXPECT_THAT(slices("a"), ElementsAre(HasSubstr("must be a map with name and memory")));
  EXPECT_THAT(mistakes("", {"vgpus.slices=a"}), ElementsAre(HasSubstr("must be a list in brackets")));
  EXPECT_THAT(mistakes("", {"vgpus.slices=[{name: a}]"}),
              ElementsAre("command line: vgpus.slices.memory: is needed"));
}

TEST(Configuration, AllMistakesAreToldInTheFilesOrder) {
  EXPECT_THAT(mistakes("b: 1\na: 2\nlog: {level: loud}\n"),
              ElementsAre(HasSubstr(":1:1: b"), HasSubstr(":2:1: a"), HasSubstr(":3:14: log.level")));
}

TEST(Configuration, AKeyGivenTwiceIsAMistake) {
  EXPECT_THAT(mistakes("log: {level: info, level: debug}\n"),
              ElementsAre(HasSubstr("log.level: is given twice")));
}

TEST(Configuration, TextThatIsNoYamlIsNamedWithItsPlace) {
  EXPECT_THAT(mistakes("log:\n  level: [info\n"), ElementsAre(testing::StartsWith("m.yaml:3:1: ")));
  EXPECT_THAT(mistakes("a: 1\n---\nb: 2\n"), testing::Contains(HasSubstr("second document")));
}

TEST(Configuration, PlainTcpBeyondLoopbackNeedsWords) {
  EXPECT_THAT(mistakes("endpoints: [\"tcp:0.0.0.0:7000\"]\n"),
              ElementsAre(HasSubstr("say allow_plain_tcp: true")));
  EXPECT_THAT(mistakes("endpoints: [\"tcp:0.0.0.0:7000\"]\nallow_plain_tcp: true\n"), IsEmpty());
  EXPECT_THAT(mistakes("endpoints: [\"tcp:127.0.0.1:7000\"]\n"), IsEmpty());
}

TEST(Configuration, TheCommandLineWins) {
  const std::vector<std::string> overrides = {"sessions.max=9", "endpoints=unix:/a unix:/b"};
  const ConfigurationOutcome outcome = readConfiguration("sessions: {max: 3}\n", overrides);
  EXPECT_EQ(outcome.configuration.mostSessions, 9u);
  EXPECT_THAT(outcome.configuration.endpoints, ElementsAre("unix:/a", "unix:/b"));
  EXPECT_THAT(mistakes("", {"sessions.max=x"}),
              ElementsAre(HasSubstr("command line: sessions.max: must be")));
  EXPECT_THAT(mistakes("", {"nonsense"}), ElementsAre(HasSubstr("command line: nonsense: unknown key")));
}

TEST(Configuration, TheFileWinsOverTheCommandLinesDefaults) {
  const std::vector<std::string> defaults = {"sessions.max=9", "endpoints=[\"unix:/a b\"]"};
  EXPECT_EQ(readConfiguration("", {}, defaults).configuration.mostSessions, 9u);
  EXPECT_EQ(readConfiguration("sessions: {max: 3}\n", {}, defaults).configuration.mostSessions, 3u);
  EXPECT_THAT(readConfiguration("", {}, defaults).configuration.endpoints, ElementsAre("unix:/a b"));
}

TEST(Configuration, TellsWhatNeedsARestart) {
  const Configuration running = readConfiguration("").configuration;
  EXPECT_THAT(keysForNextStart(
                  running, readConfiguration("metrics: {address: off}\nsessions: {max: 3}\n").configuration),
              ElementsAre("metrics.address"));
}

TEST(Configuration, EveryKeyHasOneNameAMeaningAndADefaultThatFits) {
  std::set<std::string> names;
  for (const ConfigurationKey& key : configurationKeys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_GT(std::string(key.meaning).size(), 20u) << key.name;
  }
  EXPECT_THAT(mistakes(""), IsEmpty());
}

TEST(Configuration, TheReferenceInDocsIsTheTables) {
  std::ifstream file(VGPU_SOURCE_DIR "/docs/configuration.md", std::ios::binary);
  const std::string written{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(written, configurationReference())
      << "run: vgpu-mediator --configuration-reference > docs/configuration.md";
}

}  // namespace
}  // namespace vgpu::daemon
