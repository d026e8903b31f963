// What a module is, and what is wrong with one that is none: line and reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "cpu_driver/ptx/module.h"

namespace vgpu::ptx {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kHeader = ".version 8.0\n.target sm_80\n.address_size 64\n";

std::string text(std::string_view rest) { return std::string(kHeader) + std::string(rest); }

std::shared_ptr<const Module> loaded(std::string_view rest, BodyParsing parsing = BodyParsing::Eager) {
  LoadResult result = load(text(rest), parsing);
  if (auto* failure = std::get_if<Diagnostic>(&result)) {
    ADD_FAILURE() << failure->message();
    return nullptr;
  }
  return std::get<0>(result);
}

Diagnostic refused(std::string_view rest) {
  LoadResult result = load(text(rest));
  if (auto* failure = std::get_if<Diagnostic>(&result)) return *failure;
  ADD_FAILURE() << "was accepted: " << rest;
  return {};
}

// Line 4 is the first after the header; the instruction stands on line 6.
Diagnostic refusedInstruction(std::string_view instruction) {
  return refused(
      ".entry k(.param .u64 p)\n{ .reg .b32 %r<4>; .reg .f32 %f<4>; .reg .b64 %rd<4>; .reg .pred %p<4>; .reg "
      ".b16 %h<4>;\n" +
      std::string(instruction) + "\nret; }\n");
}

TEST(ModuleHeader, IsReadAndRequired) {
  auto module = loaded("");
  EXPECT_EQ(module->versionMajor(), 8u);
  EXPECT_EQ(module->target(), "sm_80");
  EXPECT_EQ(module->targetNumber(), 80u);
  EXPECT_TRUE(std::holds_alternative<Diagnostic>(load("")));
  EXPECT_TRUE(std::holds_alternative<Diagnostic>(load(".target sm_80\n")));
  EXPECT_TRUE(std::holds_alternative<Diagnostic>(load("this is no PTX")));
  EXPECT_THAT(std::get<Diagnostic>(load(".version 99.0\n.target sm_80\n")).reason, HasSubstr("99.0"));
  EXPECT_TRUE(std::holds_alternative<Diagnostic>(load(".version 8.0\n.target sm_80\n.address_size 32\n")));
}

TEST(Parameters, LieAtTheirNaturalAlignment) {
  auto module = loaded(
      ".visible .entry k(.param .u8 a, .param .u64 .ptr .global .align 16 b, .param .align 16 .b8 c[20], "
      ".param .f32 d)\n"
      ".maxntid 256, 1, 1\n.minnctapersm 2\n{ ret; }\n");
  const Function& kernel = module->functions()[module->findKernel("k")];
  ASSERT_EQ(kernel.parameters.size(), 4u);
  EXPECT_EQ(kernel.parameters[0].offset, 0u);
  EXPECT_EQ(kernel.parameters[1].offset, 8u);
  EXPECT_EQ(kernel.parameters[2].offset, 16u);
  EXPECT_EQ(kernel.parameters[2].sizeBytes, 20u);
  EXPECT_EQ(kernel.parameters[3].offset, 36u);
  EXPECT_EQ(kernel.parameterBytes, 40u);
  EXPECT_EQ(kernel.directives.maxThreads[0], 256u);
  EXPECT_EQ(kernel.directives.minBlocksPerMultiprocessor, 2u);
}

TEST(Variables, HaveValuesAndRelocations) {
  auto module = loaded(
      ".func f;\n.const .align 4 .b8 c[64];\n.global .attribute(.managed) .align 4 .u32 m = 3;\n"
      ".global .align 8 .u64 p[3] = {generic(m)+4, f, 7};\n.global .f32 x[2][2] = {{1.5, 0f40000000}, "
      "{-2}};\n"
      ".global .u8 bytes[] = {1, 0x2, 0b11};\n.extern .shared .align 16 .b8 dynamic[];\n.func f { ret; }\n");
  const auto& variables = module->variables();
  EXPECT_TRUE(variables[module->findVariable("m")].managed);
  const Variable& p = variables[module->findVariable("p")];
  ASSERT_EQ(p.relocations.size(), 2u);
  EXPECT_EQ(p.relocations[0].target, module->findVariable("m"));
  EXPECT_EQ(p.relocations[0].addend, 4);
  EXPECT_TRUE(p.relocations[1].function);
  EXPECT_EQ(p.relocations[1].offset, 8u);
  float x[3];
  ASSERT_GE(variables[module->findVariable("x")].initial.size(), sizeof(x));
  std::memcpy(x, variables[module->findVariable("x")].initial.data(), sizeof(x));
  EXPECT_EQ(x[0], 1.5f);
  EXPECT_EQ(x[1], 2.0f);
  EXPECT_EQ(x[2], -2.0f);
  EXPECT_EQ(variables[module->findVariable("bytes")].sizeBytes, 3u);
  EXPECT_EQ(variables[module->findVariable("dynamic")].sizeBytes, 0u);
}

TEST(Variables, ValuesThatDoNotFitAreRefused) {
  EXPECT_THAT(refused(".global .u32 x[2] = {1, 2, 3};\n").reason, HasSubstr("too many"));
  EXPECT_THAT(refused(".global .u64 x = nobody;\n").reason, HasSubstr("nobody"));
  EXPECT_THAT(refused(".global .u32 x;\n.global .u32 x;\n").reason, HasSubstr("duplicate"));
  EXPECT_THAT(refused(".global .u8 x[1000000000][1000000000] = {{1},{1}};\n").reason, HasSubstr("too large"));
  EXPECT_THAT(refused(".global .align 3 .u8 x;\n").reason, HasSubstr("power of two"));
}

TEST(Bodies, EveryErrorHasItsLineAndReason) {
  Diagnostic unknown = refusedInstruction("foo.s32 %r1, %r2;");
  EXPECT_EQ(unknown.line, 6u);
  EXPECT_THAT(unknown.reason, HasSubstr("'foo'"));
  EXPECT_THAT(unknown.message(), HasSubstr("line 6"));
  EXPECT_THAT(refusedInstruction("add.s32 %r1, %r2, %q3;").reason, HasSubstr("%q3"));
  EXPECT_THAT(refusedInstruction("add.s32 %r1, %r2, %r9;").reason, HasSubstr("%r9"));
  EXPECT_THAT(refusedInstruction("add.s32 %r1, %r2;").reason, HasSubstr("too few"));
  EXPECT_THAT(refusedInstruction("add.s32 %r1, %r2, %r3, %r1;").reason, HasSubstr("too many"));
  EXPECT_THAT(refusedInstruction("add.s32 %r1, %r2, %f3;").reason, HasSubstr("operand 3"));
  EXPECT_THAT(refusedInstruction("add.s32 %r1, %r2, %rd3;").reason, HasSubstr("operand 3"));
  EXPECT_THAT(refusedInstruction("add.s32 1, %r2, %r3;").reason, HasSubstr("operand 1"));
  EXPECT_THAT(refusedInstruction("add.nonsense.s32 %r1, %r2, %r3;").reason, HasSubstr("nonsense"));
  EXPECT_THAT(refusedInstruction("add %r1, %r2, %r3;").reason, HasSubstr("type"));
  EXPECT_THAT(refusedInstruction("bra NOWHERE;").reason, HasSubstr("NOWHERE"));
  EXPECT_THAT(refusedInstruction("@%r1 ret;").reason, HasSubstr("predicate"));
  EXPECT_THAT(refusedInstruction("mov.u32 %r1, %r2").reason, HasSubstr("expected"));
  EXPECT_THAT(refusedInstruction("ld.global.v2.u32 {%r1}, [%rd1];").reason, HasSubstr("elements"));
  EXPECT_THAT(refusedInstruction("ld.global.u64 %r1, [%rd1];").reason, HasSubstr("operand 1"));
  EXPECT_THAT(refusedInstruction("{ mov.u32 %r1, 0;").reason, HasSubstr("does not end"));
  EXPECT_THAT(refusedInstruction("mov.u32 %r1, 1/0;").reason, HasSubstr("zero"));
  EXPECT_THAT(refusedInstruction("mov.u32 %r1, %tid.q;").reason, HasSubstr("tid.q"));
}

TEST(Bodies, AreWrittenInManyWays) {
  auto module = loaded(
      ".entry k ( .param .u64 p ) {\n.reg .u32 a , b ; .reg.pred q;.reg .v4 .f32 v;\n/* a comment\n over "
      "lines */ mov .u32 a,%tid.x ; // the end\n"
      "add.u32 b,a,((1<<4)|0x3)+WARP_SZ-010;@!q\nbra\nL;{.reg .u64 a;mov.u64 a,0xFFFFFFFFFFFFFFFFU;}L:\n"
      "mov.f32 v.x,0F3f800000;ld.global.v4.f32 v,[0];.loc 1 2 3, function_name info+4, inlined_at 1 2 "
      "3\n.pragma \"nounroll\";ret;}\n");
  const Body& body = *std::get<const Body*>(module->body(0));
  EXPECT_EQ(body.instructions.size(), 7u);
  const Instruction& add = body.instructions[1];
  EXPECT_EQ(body.operands[add.operands + 2].bits, 0x13 + 32 - 8);
}

TEST(Bodies, RefusedInstructionsAreNamedAtFirstUse) {
  auto module = loaded(
      ".entry k { .reg .b32 %r<9>; mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%r0},{%r1},{%r2},{%r3}, %r4, 0x0;\n ret; }\n.entry good { ret; }\n");
  const Body& body = *std::get<const Body*>(module->body(module->findKernel("k")));
  ASSERT_TRUE(body.unsupported.has_value());
  EXPECT_THAT(body.unsupported->what, HasSubstr("mma.sp.sync.aligned.m16n8k16"));
  EXPECT_FALSE(std::get<const Body*>(module->body(module->findKernel("good")))->unsupported.has_value());
}

TEST(LazyModules, FindErrorsInBodiesWhenTheyAreUsed) {
  auto module = loaded(".entry bad { nonsense; }\n.entry good { ret; }\n", BodyParsing::Lazy);
  EXPECT_TRUE(std::holds_alternative<Diagnostic>(module->body(module->findKernel("bad"))));
  EXPECT_TRUE(std::holds_alternative<const Body*>(module->body(module->findKernel("good"))));
}

TEST(Resources, CountSharedMemoryOfWhatIsReached) {
  auto module = loaded(
      ".shared .align 4 .b8 everyone[100];\n.shared .b8 nobody[5000];\n.extern .shared .align 16 .b8 "
      "dynamic[];\n"
      ".func helper { .shared .align 8 .b8 own[24]; .reg .b32 %r; mov.u32 %r, own; mov.u32 %r, dynamic; ret; "
      "}\n"
      ".entry k { .reg .b32 %r; .local .align 4 .b8 depot[40]; mov.u32 %r, everyone; call helper; ret; "
      "}\n.entry empty { ret; }\n");
  Resources used = std::get<Resources>(module->resources(module->findKernel("k")));
  EXPECT_EQ(used.sharedBytes, 128u);
  EXPECT_EQ(used.dynamicSharedOffset, 128u);
  EXPECT_EQ(used.functions.size(), 1u);
  EXPECT_GE(used.localBytes, 40u);
  EXPECT_EQ(std::get<Resources>(module->resources(module->findKernel("empty"))).sharedBytes, 0u);
}

TEST(Robustness, DeepAndLongInputEnds) {
  std::string deep = "mov.u32 %r1, " + std::string(100000, '(') + "1";
  EXPECT_THAT(refusedInstruction(deep + ";").reason, HasSubstr("deeply"));
  EXPECT_THAT(refusedInstruction(std::string(100000, '{')).reason, HasSubstr("does not end"));
  EXPECT_THAT(refusedInstruction(std::string(1000, '{') + std::string(1000, '}')).reason,
              HasSubstr("deeply"));
  EXPECT_THAT(refusedInstruction("mov.u32 %r1, 99999999999999999999999;").reason, HasSubstr("64 bits"));
  EXPECT_THAT(refusedInstruction("/* never closed").reason, HasSubstr("does not end"));
  EXPECT_THAT(refusedInstruction(".reg .b32 x<4294967295>;mov.u32 x4294967295, 0;").reason,
              HasSubstr("unknown symbol"));
}

}  // namespace
}  // namespace vgpu::ptx
