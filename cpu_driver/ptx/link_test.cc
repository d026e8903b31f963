#include "cpu_driver/ptx/link.h"

#include <gtest/gtest.h>

namespace vgpu::ptx {
namespace {

std::string header(const char* version = "8.0", const char* target = "sm_80") {
  return std::string(".version ") + version + "\n.target " + target + "\n.address_size 64\n";
}

std::shared_ptr<const Module> linked(const std::vector<std::string>& texts) {
  auto text = link(texts);
  if (const auto* diagnostic = std::get_if<Diagnostic>(&text)) {
    ADD_FAILURE() << diagnostic->message();
    return nullptr;
  }
  auto loaded = load(std::get<std::string>(text));
  if (const auto* diagnostic = std::get_if<Diagnostic>(&loaded)) {
    ADD_FAILURE() << diagnostic->message() << "\n" << std::get<std::string>(text);
    return nullptr;
  }
  return std::get<std::shared_ptr<const Module>>(loaded);
}

std::string refusal(const std::vector<std::string>& texts) {
  auto text = link(texts);
  const auto* diagnostic = std::get_if<Diagnostic>(&text);
  return diagnostic ? diagnostic->reason : std::string();
}

const Function& function(const Module& module, std::string_view name) {
  return module.functions().at(module.findFunction(name));
}

TEST(Link, AFunctionAndAVariableOfAnotherModule) {
  const auto module = linked({header() + R"(
.extern .func (.param .b32 r) scaled (.param .b32 p);
.extern .global .align 4 .u32 counter;
.visible .entry go() {
  .reg .b32 %r<3>;
  { .param .b32 p0; .param .b32 r0;
  mov.u32 %r1, 3;
  st.param.b32 [p0], %r1;
  call (r0), scaled, (p0);
  ld.param.b32 %r1, [r0]; }
  st.global.u32 [counter], %r1;
  ret;
})",
                              header() + R"(
.visible .global .align 4 .u32 counter = 7;
.visible .func (.param .b32 r) scaled (.param .b32 p) { ret; }
)"});
  ASSERT_TRUE(module);
  EXPECT_TRUE(function(*module, "scaled").defined);
  const Variable& counter = module->variables().at(module->findVariable("counter"));
  EXPECT_EQ(counter.linkage, Linkage::Visible);
  EXPECT_EQ(counter.initial.at(0), std::byte{7});
}

// A string of the front end has the same name in every object, and is another one in each.
TEST(Link, NamesWithoutALinkageBelongToTheirModule) {
  const std::string first = header() + R"(
.global .align 1 .b8 $str[2] = {65, 0};
.func helper() { .reg .b64 %rd<2>; mov.u64 %rd1, $str; ret; }
.visible .entry first() { call.uni helper, (); ret; }
)";
  const std::string second = header() + R"(
.global .align 1 .b8 $str[3] = {66, 67, 0};
.func helper() { .reg .b64 %rd<2>; mov.u64 %rd1, $str; ret; }
.visible .entry second() { call.uni helper, (); ret; }
)";
  const auto module = linked({first, second});
  ASSERT_TRUE(module);
  EXPECT_EQ(module->findVariable("$str"), kNoIndex);
  ASSERT_EQ(module->variables().size(), 2u);
  EXPECT_EQ(module->variables()[0].sizeBytes, 2u);
  EXPECT_EQ(module->variables()[1].sizeBytes, 3u);
  for (const auto& [kernel, name] : {std::pair{"first", "helper$0"}, std::pair{"second", "helper$1"}}) {
    auto resources = module->resources(module->findKernel(kernel));
    ASSERT_TRUE(std::holds_alternative<Resources>(resources));
    const auto& reached = std::get<Resources>(resources).functions;
    ASSERT_EQ(reached.size(), 1u);
    EXPECT_EQ(module->functions()[reached[0]].name, name);
  }
}

TEST(Link, ANameThatIsItsModulesOwnIsNotAnothersVisibleOne) {
  const auto module =
      linked({header() + ".global .u32 x = 1;\n.visible .entry a() { st.global.u32 [x], 0; ret; }\n",
              header() + ".visible .global .u32 x = 2;\n"});
  ASSERT_TRUE(module);
  EXPECT_EQ(module->variables().at(module->findVariable("x")).initial.at(0), std::byte{2});
  EXPECT_EQ(module->variables().at(module->findVariable("x$0")).initial.at(0), std::byte{1});
}

// Instances of templates, and inline functions.
TEST(Link, OfSeveralWeakDefinitionsOneStays) {
  const std::string weak = header() + R"(
.weak .func twice() { .reg .b32 %r<2>; mov.u32 %r1, 1; ret; }
.weak .global .align 4 .u32 shared_state = 1;
.weak .entry kernel() { call.uni twice, (); ret; }
)";
  const auto module = linked({weak, weak, header() + ".visible .func twice() { ret; }\n"});
  ASSERT_TRUE(module);
  EXPECT_EQ(function(*module, "twice").linkage, Linkage::Visible);
  EXPECT_EQ(module->functions().size(), 2u);
  EXPECT_EQ(module->variables().size(), 1u);
}

TEST(Link, TheNewestVersionAndTargetCount) {
  const auto module = linked({header("9.0", "sm_75"), header("8.1", "sm_80") + ".file 1 \"a.cu\"\n",
                              "// comment\n" + header("7.0", "sm_70")});
  ASSERT_TRUE(module);
  EXPECT_EQ(module->versionMajor(), 9u);
  EXPECT_EQ(module->target(), "sm_80");
}

TEST(Link, SharedMemoryOfTheLaunchIsOfAll) {
  const std::string uses = header() + ".extern .shared .align 16 .b8 dynamic[];\n";
  const auto module =
      linked({uses + ".visible .entry a() { ret; }\n", uses + ".visible .entry b() { ret; }\n"});
  ASSERT_TRUE(module);
  EXPECT_EQ(module->variables().size(), 1u);
}

TEST(Link, WhatIsMissingOrTwiceIsNamed) {
  EXPECT_EQ(refusal({header() + ".extern .global .u32 nowhere;\n", header()}),
            "undefined reference to 'nowhere'");
  EXPECT_EQ(refusal({header(), header() + "nonsense"}), "syntax error at 'nonsense': expected a directive");
  EXPECT_EQ(refusal({}), "nothing to link");
  const std::string strong = header() + ".visible .func f() { ret; }\n";
  const auto text = link(std::vector{strong, strong});
  const auto loaded = load(std::get<std::string>(text));
  ASSERT_TRUE(std::holds_alternative<Diagnostic>(loaded));
  EXPECT_EQ(std::get<Diagnostic>(loaded).reason, "duplicate definition of 'f'");
}

}  // namespace
}  // namespace vgpu::ptx
