// What the loops form decides for a whole group at once: guards, the ends of loops, barriers, atomics on
// shared memory.
#include "cpu_driver/jit/every_form_testing.h"

namespace vgpu::jit {
namespace {

using testing::EveryForm;
using testing::kernelText;

// Guards that all lanes of most groups pass or fail together, at every kind of edge: the bits of those that a
// thread passed.
TEST_P(EveryForm, GuardsOfThePlaceOfAThread) {
  const struct {
    const char* condition;  // defines %c from %tid and %i
    bool (*holds)(uint32_t tid, uint32_t i);
  } guards[] = {
      {"%c = icmp ult i32 %i, 333", [](uint32_t, uint32_t i) { return i < 333; }},
      {"%c = icmp eq i32 %tid, 70", [](uint32_t tid, uint32_t) { return tid == 70; }},
      {"%c = icmp ne i32 %i, 131", [](uint32_t, uint32_t i) { return i != 131; }},
      {"%w = sub i32 %i, 260\n %c = icmp ult i32 %w, 100",  // wraps around within a group
       [](uint32_t, uint32_t i) { return i - 260 < 100; }},
      {"%w = sub i32 150, %tid\n %c = icmp sgt i32 %w, 30", [](uint32_t tid, uint32_t) { return tid < 120; }},
      {"%a = icmp uge i32 %tid, 50\n %b = icmp ult i32 %i, 300\n %c = and i1 %a, %b",
       [](uint32_t tid, uint32_t i) { return tid >= 50 && i < 300; }},
      {"%a = icmp slt i32 %i, 40\n %b = icmp sle i32 550, %i\n %c = or i1 %a, %b",
       [](uint32_t, uint32_t i) { return i < 40 || i >= 550; }},
      {"%l = and i32 %tid, 31\n %c = icmp eq i32 %l, 5",
       [](uint32_t tid, uint32_t) { return tid % 32 == 5; }},
      {"%l = lshr i32 %tid, 5\n %c = icmp ult i32 %l, 3", [](uint32_t tid, uint32_t) { return tid < 96; }},
      {"%w = add i64 %i64, 9223372036854775707\n %c = icmp slt i64 %w, 0",  // 2^63 - 101
       [](uint32_t, uint32_t i) { return i > 100; }},
  };
  std::string body = "  store i32 0, ptr %slot\n";
  for (unsigned g = 0; g < std::size(guards); ++g) {
    const std::string n = std::to_string(g);
    std::string condition = guards[g].condition;
    for (const char* name : {"%a ", "%b ", "%c ", "%l ", "%w ", "%a,", "%b,", "%l,", "%w,", "%b\n"}) {
      const std::string old = name, renamed = old.substr(0, 2) + n + old.substr(2);
      for (size_t at = 0; (at = condition.find(old, at)) != std::string::npos; at += renamed.size())
        condition.replace(at, old.size(), renamed);
    }
    if (condition.ends_with("%b")) condition += n;
    body += " " + condition + "\n  br i1 %c" + n + ", label %yes" + n + ", label %on" + n + "\nyes" + n +
            ":\n  %v" + n + " = load i32, ptr %slot\n  %o" + n + " = or i32 %v" + n + ", " +
            std::to_string(1u << g) + "\n  store i32 %o" + n + ", ptr %slot\n  br label %on" + n + "\non" +
            n + ":\n";
  }
  for (const char* end :
       {"  ret void", "  call void @vgpu.warpsync(i32 -1)\n  ret void"}) {  // strips, and warps
    const auto out = run(kernelText(body + end), {.grid = {3, 1, 1}, .block = {192, 1, 1}});
    for (uint32_t i = 0; i < out.size(); ++i) {
      uint32_t expected = 0;
      for (unsigned g = 0; g < std::size(guards); ++g) expected |= uint32_t{guards[g].holds(i % 192, i)} << g;
      ASSERT_EQ(out[i], expected) << "thread " << i;
    }
  }
}

// A loop whose count differs within one group only, and a value that lives on after it.
TEST_P(EveryForm, AGridStrideLoopEndsWithinAGroup) {
  const auto out = run(kernelText(R"(
  %first = icmp ult i32 %i, 1000
  br i1 %first, label %loop, label %end
loop:
  %k = phi i32 [ %i, %entry ], [ %next, %loop ]
  %sum = phi i32 [ 0, %entry ], [ %more, %loop ]
  %more = add i32 %sum, %k
  %next = add i32 %k, 256
  %again = icmp ult i32 %next, 1000
  br i1 %again, label %loop, label %end
end:
  %r = phi i32 [ 7, %entry ], [ %more, %loop ]
  store i32 %r, ptr %slot
  ret void)"),
                       {.grid = {2, 1, 1}, .block = {128, 1, 1}});
  for (uint32_t i = 0; i < out.size(); ++i) {
    uint32_t sum = 0;
    for (uint32_t k = i; k < 1000; k += 256) sum += k;
    ASSERT_EQ(out[i], sum);
  }
}

// Lanes that add to one word of shared memory, take its largest value, and swap it: none is lost.
TEST_P(EveryForm, AtomicsOnSharedMemory) {
  const auto out = run(kernelText(R"(
  %mine = getelementptr i32, ptr %shared, i64 %t64
  store i32 0, ptr %mine
  call void @vgpu.barrier(i32 0, i32 0)
  %seven = urem i32 %tid, 7
  %s64 = zext i32 %seven to i64
  %bin = getelementptr i32, ptr %shared, i64 %s64
  %old = atomicrmw add ptr %bin, i32 1 monotonic, align 4
  %largest = getelementptr i32, ptr %shared, i64 10
  %x = xor i32 %tid, 77
  %before = atomicrmw umax ptr %largest, i32 %x monotonic, align 4
  %flag = getelementptr i32, ptr %shared, i64 11
  %pair = cmpxchg ptr %flag, i32 0, i32 1 monotonic monotonic, align 4
  %won = extractvalue { i32, i1 } %pair, 1
  %w = zext i1 %won to i32
  %winners = getelementptr i32, ptr %shared, i64 12
  %c = atomicrmw add ptr %winners, i32 %w monotonic, align 4
  call void @vgpu.barrier(i32 0, i32 0)
  %v = load i32, ptr %mine
  store i32 %v, ptr %slot
  ret void)"),
                       {.grid = {2, 1, 1}, .block = {96, 1, 1}}, 384);
  for (uint32_t i = 0; i < out.size(); ++i) {
    const uint32_t word = i % 96, largest = 127;
    const uint32_t expected = word < 7     ? (96 - word + 6) / 7
                              : word == 10 ? largest
                                           : word == 11 || word == 12;
    ASSERT_EQ(out[i], expected) << "word " << word;
  }
}

// Whole groups leave between barriers: those that stay are enough.
TEST_P(EveryForm, GroupsLeaveBetweenBarriers) {
  const auto out = run(kernelText(R"(
  store i32 0, ptr %slot
  br label %head
head:
  %k = phi i32 [ 1, %entry ], [ %next, %on ]
  call void @vgpu.barrier(i32 0, i32 0)
  %bound = mul i32 %k, 64
  %leaves = icmp ult i32 %tid, %bound
  br i1 %leaves, label %end, label %on
on:
  call void @vgpu.barrier(i32 0, i32 0)
  store i32 %k, ptr %slot
  %next = add i32 %k, 1
  %more = icmp ult i32 %next, 4
  br i1 %more, label %head, label %end
end:
  ret void)"),
                       {.grid = {2, 1, 1}, .block = {256, 1, 1}});
  for (uint32_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], i % 256 / 64);
}

}  // namespace
}  // namespace vgpu::jit
