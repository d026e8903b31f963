#include "cpu_driver/runtime/linker.h"

#include <gtest/gtest.h>

namespace vgpu::cpu {
namespace {

const std::string kHeader = ".version 7.0\n.target sm_80\n.address_size 64\n";

TEST(MergePtx, KeepsOneHeader) {
  const std::string merged =
      mergePtx({kHeader + ".visible .entry a() { ret; }\n", kHeader + ".visible .entry b() { ret; }\n"});
  EXPECT_EQ(merged.find(".version"), merged.rfind(".version"));
  EXPECT_NE(merged.find("b()"), std::string::npos);
}

TEST(MergePtx, PrivateNamesOfTwoInputsStayApart) {
  const std::string text = kHeader + ".global .align 1 .b8 $str[3] = {1, 2, 3};\n" +
                           ".func (.param .b32 r) helper(.param .b32 a)\n{ mov.u64 %rd1, $str; ret; }\n";
  const std::string merged = mergePtx({text, text});
  EXPECT_NE(merged.find(".b8 $str[3]"), std::string::npos);
  EXPECT_NE(merged.find(".b8 $str$input1[3]"), std::string::npos);
  EXPECT_NE(merged.find("%rd1, $str$input1;"), std::string::npos);
  EXPECT_NE(merged.find("(.param .b32 r) helper$input1(.param .b32 a)"), std::string::npos);
}

TEST(MergePtx, NamesThatInputsShareStay) {
  const std::string declared = kHeader + ".extern .global .u32 shared;\n";
  const std::string defined = kHeader + ".visible .global .u32 shared;\n";
  EXPECT_EQ(mergePtx({declared, defined}).find("$input"), std::string::npos);
}

// Inline functions and variables of a header are in every input that uses them.
TEST(MergePtx, OneWeakVariableServesAllAndEachInputKeepsItsWeakFunctions) {
  const std::string text = kHeader + ".weak .global .u32 counter = 5;\n" +
                           ".weak .func inlined() { ld.global.u32 %r1, [counter]; ret; }\n";
  const std::string merged = mergePtx({text, text});
  EXPECT_EQ(merged.find(".global .u32 counter"), merged.rfind(".global .u32 counter"));
  EXPECT_EQ(merged.find("counter$input"), std::string::npos);
  EXPECT_NE(merged.find(".func inlined()"), std::string::npos);
  EXPECT_NE(merged.find(".func inlined$input1()"), std::string::npos);
}

// A longer name that begins with a private one is another name.
TEST(MergePtx, WholeNamesAreRenamed) {
  const std::string first = kHeader + ".global .u32 x;\n";
  const std::string merged = mergePtx({first, first + ".visible .global .u32 xy;\n"});
  EXPECT_NE(merged.find(".u32 x$input1;"), std::string::npos);
  EXPECT_NE(merged.find(".u32 xy;"), std::string::npos);
}

}  // namespace
}  // namespace vgpu::cpu
