// Memory, control flow, calls and atomics of one thread; what is refused is named.
#include <bit>
#include <vector>

#include "cpu_driver/jit/translate/translate_testing.h"

namespace vgpu::jit {
namespace {

using testing::kernel;
using testing::Operation;
using testing::Program;

struct Buffers {
  alignas(16) std::array<uint32_t, 16> in{}, out{};
  void operator()(const Program& program) {
    ASSERT_TRUE(program.ok()) << program.log();
    const void* block[2] = {in.data(), out.data()};
    program.run(block);
  }
};

TEST(Memory, VectorsPacksAndNarrowTypes) {
  Program program(kernel(
      "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];\n"
      "st.global.v2.b32 [%rd2+8], {%r4, %r1};\n"
      "mov.b64 %rd3, {%r1, %r2};\nst.global.u64 [%rd2+16], %rd3;\n"
      "ld.global.s8 %r5, [%rd1];\nst.global.b32 [%rd2], %r5;\n"
      "ld.global.u16 %h1, [%rd1+2];\nmov.b32 {%h2, %h3}, %r3;\nst.global.v2.u16 [%rd2+4], {%h1, %h3};\n"
      "st.shared.v2.f32 [16], {0f3F800000, 0f40000000};\nld.shared.b64 %rd4, [16];\nst.global.b64 [%rd2+24], "
      "%rd4;\n"));
  Buffers run;
  run.in = {0xaabbcc80, 2, 0x33334444, 4};
  run(program);
  EXPECT_EQ(run.out[0], 0xffffff80);
  EXPECT_EQ(run.out[1], 0x3333aabb);
  EXPECT_EQ(run.out[2], 4u);
  EXPECT_EQ(run.out[3], 0xaabbcc80);
  EXPECT_EQ(run.out[4], 0xaabbcc80);
  EXPECT_EQ(run.out[5], 2u);
  EXPECT_EQ(run.out[6], 0x3f800000u);
  EXPECT_EQ(run.out[7], 0x40000000u);
}

TEST(Memory, LocalAndSharedAddressesBecomeGenericAndBack) {
  Program program(
      kernel(".local .align 8 .b8 buffer[64];\n.shared .align 4 .b32 word;\n"
             "mov.u64 %rd3, buffer;\ncvta.local.u64 %rd4, %rd3;\nst.u32 [%rd4+4], 77;\nld.local.u32 %r1, "
             "[buffer+4];\nst.global.u32 [%rd2], %r1;\n"
             "mov.u64 %rd5, word;\ncvta.shared.u64 %rd6, %rd5;\nst.u32 [%rd6], 88;\nld.shared.u32 %r2, "
             "[word];\nst.global.u32 [%rd2+4], %r2;\n"
             "cvta.to.shared.u64 %rd7, %rd6;\nsub.u64 %rd8, %rd7, %rd5;\nst.global.u64 [%rd2+8], %rd8;\n"));
  Buffers run;
  run(program);
  EXPECT_EQ(run.out[0], 77u);
  EXPECT_EQ(run.out[1], 88u);
  EXPECT_EQ(run.out[2], 0u);
}

TEST(Memory, AsynchronousCopiesFillWithZeros) {
  Program program(kernel(
      "mov.u32 %r1, 6;\ncp.async.ca.shared.global [32], [%rd1], 16, "
      "%r1;\ncp.async.commit_group;\ncp.async.wait_group 0;\n"
      "ld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [32];\nst.global.v4.u32 [%rd2], {%r2, %r3, %r4, %r5};\n"));
  Buffers run;
  run.in = {0x11111111, 0x22222222, 0x33333333, 0x44444444};
  run(program);
  EXPECT_EQ(run.out[0], 0x11111111u);
  EXPECT_EQ(run.out[1], 0x2222u);
  EXPECT_EQ(run.out[2], 0u);
  EXPECT_EQ(run.out[3], 0u);
}

TEST(Control, LoopsGuardsAndTables) {
  Program program(
      kernel("ld.global.u32 %r1, [%rd1];\nmov.u32 %r2, 0;\n"
             "LOOP: add.u32 %r2, %r2, %r1;\nsub.u32 %r1, %r1, 1;\nsetp.ne.u32 %p1, %r1, 0;\n@%p1 bra LOOP;\n"
             "setp.eq.u32 %p2, %r2, 55;\n@%p2 add.u32 %r2, %r2, 1000;\n@!%p2 mov.u32 %r2, 0;\nst.global.u32 "
             "[%rd2], %r2;\n"
             "ld.global.u32 %r3, [%rd1+4];\nts: .branchtargets A, B, C;\nbrx.idx %r3, ts;\n"
             "A: mov.u32 %r4, 10; bra END;\nB: mov.u32 %r4, 20; bra.uni END;\nC: mov.u32 %r4, 30;\nEND: "
             "st.global.u32 [%rd2+4], %r4;\n"
             // Labels and registers belong to their block, as inline assembly needs it.
             "{ .reg .pred q; setp.eq.u32 q, %r4, 20; @q bra L; mov.u32 %r4, 1; L: }\n"
             "{ .reg .pred q; setp.eq.u32 q, %r4, 20; @!q bra L; mov.u32 %r4, 2; L: }\nst.global.u32 "
             "[%rd2+8], %r4;\n"));
  Buffers run;
  run.in = {10, 1};
  run(program);
  EXPECT_EQ(run.out[0], 1055u);
  EXPECT_EQ(run.out[1], 20u);
  EXPECT_EQ(run.out[2], 2u);
}

constexpr std::string_view kFunctions =
    ".func (.param .b32 result) twice(.param .b32 x)\n{ .reg .b32 %r<3>; ld.param.b32 %r1, [x]; add.u32 %r2, "
    "%r1, %r1;\n"
    "st.param.b32 [result], %r2; ret; }\n"
    ".func (.param .b32 result) square(.param .b32 x)\n{ .reg .b32 %r<3>; ld.param.b32 %r1, [x]; mul.lo.u32 "
    "%r2, %r1, %r1;\n"
    "st.param.b32 [result], %r2; ret; }\n"
    ".func (.reg .u32 r) sum(.reg .u32 a, .reg .u32 b)\n{ add.u32 r, a, b; ret; }\n"
    ".func (.param .align 8 .b8 out[16]) swap(.param .align 8 .b8 pair[16])\n{ .reg .b64 %rd<3>; "
    "ld.param.v2.b64 {%rd1, %rd2}, [pair];\n"
    "st.param.v2.b64 [out], {%rd2, %rd1}; ret; }\n"
    ".func (.param .b32 result) factorial(.param .b32 n)\n{ .reg .pred %p; .reg .b32 %r<5>; ld.param.b32 "
    "%r1, [n]; mov.u32 %r2, 1;\n"
    "setp.lt.u32 %p, %r1, 2; @%p bra done; sub.u32 %r3, %r1, 1; { .param .b32 a; .param .b32 b; st.param.b32 "
    "[a], %r3;\n"
    "call (b), factorial, (a); ld.param.b32 %r4, [b]; } mul.lo.u32 %r2, %r1, %r4; done: st.param.b32 "
    "[result], %r2; ret; }\n";

TEST(Calls, DirectIndirectRecursive) {
  Program program(kernel(
      "ld.global.u32 %r1, [%rd1];\n"
      "{ .param .b32 a; .param .b32 b; st.param.b32 [a+0], %r1; call.uni (b), square, (a); ld.param.b32 %r2, "
      "[b+0]; }\nst.global.u32 [%rd2], %r2;\n"
      "call (%r3), sum, (%r1, 5);\nst.global.u32 [%rd2+4], %r3;\n"
      "mov.u64 %rd3, twice; mov.u64 %rd4, square; setp.gt.u32 %p1, %r1, 6; selp.u64 %rd5, %rd3, %rd4, %p1;\n"
      "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; proto: .callprototype (.param .b32 _) _ "
      "(.param .b32 _);\n"
      "call (b), %rd5, (a), proto; ld.param.b32 %r4, [b]; }\nst.global.u32 [%rd2+8], %r4;\n"
      "{ .param .align 8 .b8 p[16]; .param .align 8 .b8 q[16]; st.param.b64 [p], 1; st.param.b64 [p+8], 2; "
      "call (q), swap, (p);\n"
      "ld.param.b64 %rd6, [q]; }\nst.global.b64 [%rd2+16], %rd6;\n"
      "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; call (b), factorial, (a); ld.param.b32 %r5, "
      "[b]; }\nst.global.u32 [%rd2+12], %r5;\n",
      kFunctions));
  Buffers run;
  run.in = {7};
  run(program);
  EXPECT_EQ(run.out[0], 49u);
  EXPECT_EQ(run.out[1], 12u);
  EXPECT_EQ(run.out[2], 14u);
  EXPECT_EQ(run.out[3], 5040u);
  EXPECT_EQ(run.out[4], 2u);
}

TEST(Calls, ResultsAreReadAfterTheCall) {
  // The optimiser must not take a result's place for constant memory, as a kernel's parameters are.
  Program program(kernel(
      "ld.global.u32 %r1, [%rd1];\nadd.u32 %r2, %r1, 1;\n"
      "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; call (b), twice, (a); ld.param.b32 %r3, [b];\n"
      "st.param.b32 [a], %r2; call (b), twice, (a); ld.param.b32 %r4, [b]; }\n"
      "st.global.v2.u32 [%rd2], {%r3, %r4};\n",
      kFunctions));
  Buffers run;
  run.in = {21};
  run(program);
  EXPECT_EQ(run.out[0], 42u);
  EXPECT_EQ(run.out[1], 44u);
}

TEST(Atomics, ReturnWhatWasThere) {
  auto once = [](const char* code, uint32_t memory, uint32_t operand) {
    Program program(kernel(std::string("ld.global.u32 %r1, [%rd1];\nmov.b32 %f1, %r1;\n") + code +
                           "\nst.global.u32 [%rd2+4], %r2;"));
    Buffers run;
    run.in[0] = operand;
    run.out[0] = memory;
    run(program);
    return std::pair(run.out[0], run.out[1]);
  };
  using Pair = std::pair<uint32_t, uint32_t>;
  EXPECT_EQ(once("atom.global.add.u32 %r2, [%rd2], %r1;", 5, 3), Pair(8, 5));
  EXPECT_EQ(once("atom.acq_rel.gpu.global.max.s32 %r2, [%rd2], %r1;", uint32_t(-5), 3),
            Pair(3, uint32_t(-5)));
  EXPECT_EQ(once("atom.inc.u32 %r2, [%rd2], %r1;", 7, 7), Pair(0, 7));
  EXPECT_EQ(once("atom.dec.u32 %r2, [%rd2], %r1;", 0, 7), Pair(7, 0));
  EXPECT_EQ(once("atom.exch.b32 %r2, [%rd2], %r1;", 1, 2), Pair(2, 1));
  EXPECT_EQ(once("atom.cas.b32 %r2, [%rd2], 9, %r1;", 9, 4), Pair(4, 9));
  EXPECT_EQ(once("atom.cas.b32 %r2, [%rd2], 8, %r1;", 9, 4), Pair(9, 9));
  EXPECT_EQ(once("{ .reg .f32 o; atom.add.f32 o, [%rd2], %f1; mov.b32 %r2, o; }",
                 std::bit_cast<uint32_t>(1.5f), std::bit_cast<uint32_t>(2.0f)),
            Pair(std::bit_cast<uint32_t>(3.5f), std::bit_cast<uint32_t>(1.5f)));
  EXPECT_EQ(once("atom.add.noftz.f16x2 %r2, [%rd2], %r1;", 0x3c004000, 0x40003c00),
            Pair(0x42004200, 0x3c004000));
  EXPECT_EQ(once("red.global.or.b32 [%rd2], %r1; mov.u32 %r2, 0;", 1, 6), Pair(7, 0));
}

TEST(Refusals, NameTheInstruction) {
  for (const char* refused :
       {"mma.sp.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 "
        "{%r1,%r2},{%r3,%r4},{%r5,%r6},{%r1,%r2},%r7,0x0;",
        "mma.sync.aligned.m16n8k32.row.col.kind::f8f6f4.f32.e3m2.e2m1.f32 {%f1},{%r1},{%r2},{%f1};",
        "mma.sync.aligned.m16n8k16.row.col.f16.bf16.bf16.f16 "
        "{%r1,%r2},{%r3,%r4,%r5,%r6},{%r7,%r8},{%r1,%r2};",
        "wgmma.fence.sync.aligned;", "tcgen05.wait::ld.sync.aligned;",
        "sured.b.add.2d.u32.trap [%rd1, {%r1,%r2}], %r3;",
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd1], [%r1], 16;"}) {
    Program program(kernel(refused));
    EXPECT_FALSE(program.ok());
    EXPECT_EQ(program.kind(), TranslateError::Kind::Unsupported) << program.log();
    const std::string_view name(refused);
    EXPECT_THAT(program.log(), ::testing::HasSubstr(std::string(name.substr(0, name.find_first_of(" ;")))));
  }
  Program missing(kernel("call cudaDeviceSomething;", ".extern .func cudaDeviceSomething;\n"));
  EXPECT_EQ(missing.kind(), TranslateError::Kind::Unsupported);
  EXPECT_THAT(missing.log(), ::testing::HasSubstr("cudaDeviceSomething"));
  Program wrong(kernel("add.s32 %r1, %r2, %f1;"));
  EXPECT_EQ(wrong.kind(), TranslateError::Kind::InvalidPtx);
  EXPECT_THAT(wrong.log(), ::testing::HasSubstr("line 9"));
}

TEST(Selection, FollowsPredicatesAndSigns) {
  Operation selp("rrrp", "selp.b32 d, a, b, c;"), slct("rrrf", "slct.u32.f32 d, a, b, c;"),
      set("rff", "set.lt.u32.f32 d, a, b;"), set1("fff", "set.gt.f32.f32 d, a, b;");
  EXPECT_EQ(selp.operator()<uint32_t>(1u, 2u, 1u), 1u);
  EXPECT_EQ(selp.operator()<uint32_t>(1u, 2u, 0u), 2u);
  EXPECT_EQ(slct.operator()<uint32_t>(1u, 2u, -0.0f), 1u);
  EXPECT_EQ(slct.operator()<uint32_t>(1u, 2u, -1.0f), 2u);
  EXPECT_EQ(set.operator()<uint32_t>(1.0f, 2.0f), UINT32_MAX);
  EXPECT_EQ(set1.operator()<float>(1.0f, 2.0f), 0.0f);
}

}  // namespace
}  // namespace vgpu::jit
