// CUDA's meaning, in every form: barriers, operations of warps, progress, faults. Kernels are thread
// functions in LLVM assembly; each takes a pointer to an output array as its first parameter.
#include <gtest/gtest.h>

#include <numeric>

#include "cpu_driver/jit/every_form_testing.h"

namespace vgpu::jit {
namespace {

using kernel::Form;
using kernel::RunStatus;
using testing::EveryForm;
using testing::kernelText;
using testing::oneBlock;

INSTANTIATE_TEST_SUITE_P(Forms, EveryForm, ::testing::Values(Form::Loops, Form::Fibers),
                         [](const auto& info) { return std::string(kernel::formName(info.param)); });

TEST_P(EveryForm, EachThreadOfEachBlockRunsOnce) {
  const auto out = run(kernelText("  %v = add i32 %i, 7\n  store i32 %v, ptr %slot\n  ret void"),
                       {.grid = {5, 1, 1}, .block = {70, 1, 1}});
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i + 7);
}

TEST_P(EveryForm, TwoWorkersShareTheBlocks) {
  const auto out = run(kernelText("  store i32 %i, ptr %slot\n  ret void"),
                       {.grid = {1000, 1, 1}, .block = {32, 1, 1}, .workers = 2});
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i);
}

TEST_P(EveryForm, IndicesOfThreeDimensions) {
  const auto out = run(kernelText(R"(
  %y = call i32 @vgpu.tid.y()
  %z = call i32 @vgpu.tid.z()
  %cy = call i32 @vgpu.ctaid.y()
  %ny = call i32 @vgpu.ntid.y()
  %lane = call i32 @vgpu.laneid()
  %warp = call i32 @vgpu.warpid()
  %a = mul i32 %z, %ny
  %b = add i32 %a, %y
  %c = mul i32 %b, %ntid
  %d = add i32 %c, %tid
  %e = mul i32 %cy, 60
  %f = add i32 %d, %e
  %f64 = zext i32 %f to i64
  %p = getelementptr i32, ptr %out, i64 %f64
  %w = shl i32 %warp, 8
  %v = or i32 %w, %lane
  store i32 %v, ptr %p
  ret void)"),
                       {.grid = {1, 2, 1}, .block = {5, 4, 3}});
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], (i % 60 / 32) << 8 | (i % 60 % 32));
}

TEST_P(EveryForm, ABarrierShowsWhatOthersWrote) {
  const auto out = run(kernelText(R"(
  %mine = getelementptr i32, ptr %shared, i64 %t64
  store i32 %tid, ptr %mine
  call void @vgpu.barrier(i32 0, i32 0)
  %last = sub i32 %ntid, 1
  %other = sub i32 %last, %tid
  %o64 = zext i32 %other to i64
  %theirs = getelementptr i32, ptr %shared, i64 %o64
  %v = load i32, ptr %theirs
  store i32 %v, ptr %slot
  ret void)"),
                       {.grid = {3, 1, 1}, .block = {200, 1, 1}}, 1024);
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], 199 - i % 200);
}

// A tree reduction: a barrier in a uniform loop, work in a divergent branch of it.
TEST_P(EveryForm, ABarrierInALoop) {
  const auto out = run(kernelText(R"(
  %mine = getelementptr i32, ptr %shared, i64 %t64
  store i32 %i, ptr %mine
  br label %head
head:
  %step = phi i32 [ 128, %entry ], [ %half, %latch ]
  call void @vgpu.barrier(i32 0, i32 0)
  %active = icmp ult i32 %tid, %step
  br i1 %active, label %work, label %latch
work:
  %o = add i32 %tid, %step
  %o64 = zext i32 %o to i64
  %theirs = getelementptr i32, ptr %shared, i64 %o64
  %a = load i32, ptr %mine
  %b = load i32, ptr %theirs
  %c = add i32 %a, %b
  store i32 %c, ptr %mine
  br label %latch
latch:
  %half = lshr i32 %step, 1
  %more = icmp ne i32 %half, 0
  br i1 %more, label %head, label %done
done:
  call void @vgpu.barrier(i32 0, i32 0)
  %sum = load i32, ptr %shared
  store i32 %sum, ptr %slot
  ret void)"),
                       {.grid = {2, 1, 1}, .block = {256, 1, 1}}, 1024);
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i < 256 ? 32640u : 98176u);
}

TEST_P(EveryForm, ExitedThreadsCountAsArrived) {
  const auto out = run(kernelText(R"(
  store i32 0, ptr %slot
  %early = icmp ugt i32 %tid, 40
  br i1 %early, label %end, label %stay
stay:
  %mine = getelementptr i32, ptr %shared, i64 %t64
  store i32 %tid, ptr %mine
  call void @vgpu.barrier(i32 0, i32 0)
  %o = sub i32 40, %tid
  %o64 = zext i32 %o to i64
  %theirs = getelementptr i32, ptr %shared, i64 %o64
  %v = load i32, ptr %theirs
  store i32 %v, ptr %slot
  ret void
end:
  ret void)"),
                       oneBlock(100), 400);
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i <= 40 ? 40 - i : 0u);
}

// Both arms of a divergent branch have a barrier: on current devices each thread counts by itself.
TEST_P(EveryForm, ABarrierInBothArmsOfADivergentBranch) {
  const auto out = run(kernelText(R"(
  %mine = getelementptr i32, ptr %shared, i64 %t64
  store i32 %tid, ptr %mine
  %bit = and i32 %tid, 1
  %odd = icmp eq i32 %bit, 1
  %o = xor i32 %tid, 63
  %o64 = zext i32 %o to i64
  %theirs = getelementptr i32, ptr %shared, i64 %o64
  br i1 %odd, label %a, label %b
a:
  call void @vgpu.barrier(i32 0, i32 0)
  %va = load i32, ptr %theirs
  %va2 = add i32 %va, 1000
  store i32 %va2, ptr %slot
  ret void
b:
  call void @vgpu.barrier(i32 0, i32 0)
  %vb = load i32, ptr %theirs
  store i32 %vb, ptr %slot
  ret void)"),
                       oneBlock(64), 256);
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], (63 - i) + (i % 2 == 1 ? 1000 : 0));
}

// Producers arrive, consumers wait, at a barrier of 64 threads.
TEST_P(EveryForm, ProducersArriveAndConsumersWait) {
  const auto out = run(kernelText(R"(
  store i32 0, ptr %slot
  %producer = icmp ult i32 %tid, 32
  br i1 %producer, label %produce, label %consume
produce:
  %mine = getelementptr i32, ptr %shared, i64 %t64
  %v = mul i32 %tid, 3
  store i32 %v, ptr %mine
  call void @vgpu.barrier.arrive(i32 3, i32 64)
  ret void
consume:
  call void @vgpu.barrier(i32 3, i32 64)
  %o64 = sub i64 %t64, 32
  %theirs = getelementptr i32, ptr %shared, i64 %o64
  %w = load i32, ptr %theirs
  store i32 %w, ptr %slot
  ret void)"),
                       oneBlock(64), 128);
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i < 32 ? 0 : (i - 32) * 3);
}

TEST_P(EveryForm, ABarrierCountsAndVotes) {
  const auto out = run(kernelText(R"(
  %small = icmp ult i32 %tid, 10
  %n = call i32 @vgpu.barrier.reduce(i32 0, i32 0, i32 0, i1 %small)
  %all = call i32 @vgpu.barrier.reduce(i32 1, i32 0, i32 0, i1 %small)
  %any = call i32 @vgpu.barrier.reduce(i32 2, i32 0, i32 0, i1 %small)
  %a = mul i32 %all, 100
  %b = mul i32 %any, 1000
  %c = add i32 %n, %a
  %d = add i32 %c, %b
  store i32 %d, ptr %slot
  ret void)"),
                       oneBlock(50));
  for (const uint32_t value : out) ASSERT_EQ(value, 1010u);
}

TEST_P(EveryForm, AShuffleReductionSumsAWarp) {
  const auto out = run(kernelText(R"(
  br label %head
head:
  %d = phi i32 [ 16, %entry ], [ %half, %head ]
  %v = phi i32 [ %tid, %entry ], [ %sum, %head ]
  %pair = call { i32, i1 } @vgpu.shfl(i32 1, i32 -1, i32 %v, i32 %d, i32 31)
  %o = extractvalue { i32, i1 } %pair, 0
  %sum = add i32 %v, %o
  %half = lshr i32 %d, 1
  %more = icmp ne i32 %half, 0
  br i1 %more, label %head, label %done
done:
  %all = call { i32, i1 } @vgpu.shfl(i32 3, i32 -1, i32 %sum, i32 0, i32 31)
  %r = extractvalue { i32, i1 } %all, 0
  store i32 %r, ptr %slot
  ret void)"),
                       oneBlock(128));
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], 496 + (i / 32) * 1024);
}

// `if (tid < 32) shuffle`: only the first warp takes part.
TEST_P(EveryForm, TheFirstWarpShufflesAlone) {
  const auto out = run(kernelText(R"(
  store i32 0, ptr %slot
  %first = icmp ult i32 %tid, 32
  br i1 %first, label %work, label %end
work:
  %p = call { i32, i1 } @vgpu.shfl(i32 2, i32 -1, i32 %tid, i32 1, i32 31)
  %v = extractvalue { i32, i1 } %p, 0
  store i32 %v, ptr %slot
  br label %end
end:
  ret void)"),
                       oneBlock(96));
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i < 32 ? (i ^ 1) : 0);
}

// Lanes of one mask meet although they come from different branches.
TEST_P(EveryForm, LanesMeetFromDifferentBranches) {
  const auto out = run(kernelText(R"(
  %bit = and i32 %tid, 1
  %odd = icmp eq i32 %bit, 1
  br i1 %odd, label %a, label %b
a:
  %va = add i32 %tid, 100
  %pa = call { i32, i1 } @vgpu.shfl(i32 2, i32 -1, i32 %va, i32 1, i32 31)
  %ra = extractvalue { i32, i1 } %pa, 0
  store i32 %ra, ptr %slot
  ret void
b:
  %vb = add i32 %tid, 200
  %pb = call { i32, i1 } @vgpu.shfl(i32 2, i32 -1, i32 %vb, i32 1, i32 31)
  %rb = extractvalue { i32, i1 } %pb, 0
  store i32 %rb, ptr %slot
  ret void)"),
                       oneBlock(32));
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i % 2 == 1 ? (i - 1) + 200 : (i + 1) + 100);
}

TEST_P(EveryForm, PartialMasksMeetApart) {
  const auto out = run(kernelText(R"(
  %low = icmp ult i32 %tid, 16
  %mask = select i1 %low, i32 65535, i32 -65536
  %r = call i32 @vgpu.redux(i32 0, i32 %mask, i32 %tid)
  store i32 %r, ptr %slot
  ret void)"),
                       oneBlock(32));
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i < 16 ? 120u : 376u);
}

TEST_P(EveryForm, VotesAndMatches) {
  const auto out = run(kernelText(R"(
  %three = urem i32 %tid, 3
  %zero = icmp eq i32 %three, 0
  %ballot = call i32 @vgpu.vote(i32 0, i32 -1, i1 %zero)
  %t3 = zext i32 %three to i64
  %same = call i32 @vgpu.match.any(i32 -1, i64 %t3)
  %eq = icmp eq i32 %ballot, %same
  %want = icmp eq i1 %eq, %zero
  %all = call i32 @vgpu.vote(i32 1, i32 -1, i1 %want)
  %m = call { i32, i1 } @vgpu.match.all(i32 -1, i64 %t3)
  %mask = extractvalue { i32, i1 } %m, 0
  %pred = extractvalue { i32, i1 } %m, 1
  %p = zext i1 %pred to i32
  %x = shl i32 %all, 4
  %y = or i32 %x, %p
  %z = or i32 %y, %mask
  store i32 %z, ptr %slot
  ret void)"),
                       oneBlock(64));
  for (const uint32_t value : out) ASSERT_EQ(value, 16u);
}

TEST_P(EveryForm, ActiveMaskInABranchNamesItsLanes) {
  const auto out = run(kernelText(R"(
  %all = call i32 @vgpu.activemask()
  %low = icmp ult i32 %tid, 5
  br i1 %low, label %a, label %b
a:
  %m = call i32 @vgpu.activemask()
  store i32 %m, ptr %slot
  ret void
b:
  store i32 %all, ptr %slot
  ret void)"),
                       oneBlock(32));
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i < 5 ? 31u : 0xffffffffu);
}

// A full mask with a warp of 20 threads: lanes that do not exist are not waited for.
TEST_P(EveryForm, MissingLanesAreNotWaitedFor) {
  const auto out = run(kernelText(R"(
  call void @vgpu.warpsync(i32 -1)
  %yes = call i32 @vgpu.vote(i32 1, i32 -1, i1 true)
  store i32 %yes, ptr %slot
  ret void)"),
                       oneBlock(52));
  for (const uint32_t value : out) ASSERT_EQ(value, 1u);
}

// Lane 0 spins until lane 31 has stored: every thread makes progress by itself.
TEST_P(EveryForm, ALaneSpinsOnAnotherLane) {
  const auto out = run(kernelText(R"(
  %flag = getelementptr i32, ptr %shared, i64 0
  store i32 0, ptr %slot
  store atomic i32 0, ptr %flag monotonic, align 4
  call void @vgpu.barrier(i32 0, i32 0)
  %first = icmp eq i32 %tid, 0
  br i1 %first, label %spin, label %rest
spin:
  %v = load atomic i32, ptr %flag monotonic, align 4
  %go = icmp eq i32 %v, 0
  br i1 %go, label %spin, label %done
done:
  store i32 %v, ptr %slot
  ret void
rest:
  %last = icmp eq i32 %tid, 31
  br i1 %last, label %set, label %end
set:
  store atomic i32 77, ptr %flag monotonic, align 4
  br label %end
end:
  ret void)"),
                       oneBlock(32), 64);
  ASSERT_EQ(out[0], 77u);
}

// Block b waits for block b + 1: all must be resident at once, with one worker and with two.
TEST_P(EveryForm, BlocksOfACooperativeGridWaitForLaterOnes) {
  const std::string body = kernelText(R"(
  %n = call i32 @vgpu.nctaid.x()
  %next = add i32 %ctaid, 1
  %lastb = icmp eq i32 %next, %n
  br i1 %lastb, label %set, label %wait
wait:
  %nx = mul i32 %next, %ntid
  %ni = add i32 %nx, %tid
  %n64 = zext i32 %ni to i64
  %p = getelementptr i32, ptr %out, i64 %n64
  br label %spin
spin:
  %v = load atomic i32, ptr %p acquire, align 4
  %go = icmp eq i32 %v, -559038737
  br i1 %go, label %spin, label %set
set:
  %r = phi i32 [ 0, %entry ], [ %v, %spin ]
  %s = add i32 %r, 1
  store atomic i32 %s, ptr %slot release, align 4
  ret void)");
  for (unsigned workers : {1u, 2u}) {
    const auto out =
        run(body, {.grid = {64, 1, 1}, .block = {32, 1, 1}, .cooperative = true, .workers = workers});
    for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], 64 - i / 32);
  }
}

TEST_P(EveryForm, ResidentBlocksWaitForEachOther) {
  const std::string body = kernelText(R"(
  %o = xor i32 %i, 32
  %o64 = zext i32 %o to i64
  %p = getelementptr i32, ptr %out, i64 %o64
  store atomic i32 %ctaid, ptr %slot release, align 4
  br label %spin
spin:
  %v = load atomic i32, ptr %p acquire, align 4
  %go = icmp eq i32 %v, -559038737
  br i1 %go, label %spin, label %end
end:
  ret void)");
  for (unsigned workers : {1u, 2u}) {
    const auto out = run(body, {.grid = {2, 1, 1}, .block = {32, 1, 1}, .workers = workers});
    for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i / 32);
  }
}

TEST_P(EveryForm, LocalArraysBelongToAThread) {
  const auto out = run(kernelText(R"(
  %array = alloca [16 x i32], align 16
  %k = and i32 %tid, 15
  %k64 = zext i32 %k to i64
  %p = getelementptr i32, ptr %array, i64 %k64
  %q = getelementptr i32, ptr %array, i64 3
  store i32 5, ptr %q
  store i32 %i, ptr %p
  call void @vgpu.barrier(i32 0, i32 0)
  %v = load i32, ptr %p
  %local = call i1 @vgpu.is.local(ptr %p)
  %l = zext i1 %local to i32
  %notshared = call i1 @vgpu.is.shared(ptr %p)
  %s = zext i1 %notshared to i32
  %w0 = add i32 %v, %l
  %w = add i32 %w0, %s
  store i32 %w, ptr %slot
  ret void)"),
                       {.grid = {2, 1, 1}, .block = {48, 1, 1}});
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i + 1);
}

TEST_P(EveryForm, CalledFunctionsMayWaitRecurseAndExit) {
  const auto out = run(kernelText(R"(
  store i32 0, ptr %slot
  %f = call i32 @fib(ptr %thread, i32 10)
  call void @leave(ptr %thread, i32 %tid)
  store i32 %f, ptr %slot
  ret void)",
                                  R"(
define internal i32 @fib(ptr %thread, i32 %n) noinline {
  %small = icmp ult i32 %n, 2
  br i1 %small, label %one, label %more
one:
  ret i32 %n
more:
  call void @vgpu.warpsync(i32 -1)
  %a = sub i32 %n, 1
  %b = sub i32 %n, 2
  %x = call i32 @fib(ptr %thread, i32 %a)
  %y = call i32 @fib(ptr %thread, i32 %b)
  %z = add i32 %x, %y
  ret i32 %z
}
define internal void @leave(ptr %thread, i32 %tid) noinline {
  %odd = and i32 %tid, 1
  %c = icmp eq i32 %odd, 1
  br i1 %c, label %out, label %in
out:
  call void @vgpu.exit()
  unreachable
in:
  ret void
}
)"),
                       oneBlock(64));
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i % 2 == 1 ? 0u : 55u);
}

TEST_P(EveryForm, AWildStoreIsAnIllegalAddress) {
  run(kernelText(R"(
  %wild = inttoptr i64 4096 to ptr
  %bad = icmp eq i32 %tid, 9
  br i1 %bad, label %store, label %end
store:
  store i32 1, ptr %wild
  br label %end
end:
  ret void)"),
      {.grid = {4, 1, 1}, .block = {32, 1, 1}}, 0, RunStatus::IllegalAddress);
}

TEST_P(EveryForm, TrapEndsTheLaunch) {
  run(kernelText(R"(
  %bad = icmp eq i32 %tid, 9
  br i1 %bad, label %die, label %end
die:
  call void @vgpu.trap()
  unreachable
end:
  ret void)"),
      {.grid = {4, 1, 1}, .block = {32, 1, 1}}, 0, RunStatus::Trap);
}

TEST_P(EveryForm, OnlyAKernelThatMustEndSoonHasABoundOfSteps) {
  const auto stepsOf = [&](const char* body) {
    auto kernel = built(kernelText(body));
    EXPECT_TRUE(kernel.image);
    return kernel.image ? kernel.image->header().steps : 0;
  };
  const uint32_t few = stepsOf("  store i32 %i, ptr %slot\n  ret void");
  EXPECT_GT(few, 0u);
  EXPECT_LT(few, 50u);
  EXPECT_EQ(stepsOf(R"(
  br label %again
again:
  %n = phi i32 [ 0, %entry ], [ %next, %again ]
  store volatile i32 %n, ptr %slot
  %next = add i32 %n, 1
  %more = icmp ult i32 %next, %tid
  br i1 %more, label %again, label %end
end:
  ret void)"),
            0u);
  EXPECT_EQ(stepsOf("  call void @vgpu.nanosleep(i32 1000)\n  ret void"), 0u);
}

TEST_P(EveryForm, ARunnerWorksAgainAfterAFault) {
  auto kernel = built(kernelText("  store i32 %i, ptr %slot\n  ret void"));
  ASSERT_TRUE(kernel.image);
  kernel::installFaultHandler();
  kernel::ensureSignalStack();
  kernel::Runner runner(0);
  std::vector<uint32_t> out(32, 1);
  for (void* target : {static_cast<void*>(nullptr), static_cast<void*>(out.data())}) {
    kernel::LaunchContext launch;
    launch.block = {32, 1, 1};
    launch.parameters = reinterpret_cast<const std::byte*>(&target);
    launch.prepare();
    const auto outcome = runner.run(*kernel.image, launch);
    EXPECT_EQ(outcome.status, target ? RunStatus::Done : RunStatus::IllegalAddress);
  }
  EXPECT_EQ(out[31], 31u);
}

}  // namespace
}  // namespace vgpu::jit
