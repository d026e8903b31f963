// Accesses that other threads meet: vectors are read as they were written.
#include <atomic>
#include <thread>

#include "cpu_driver/jit/translate/translate_testing.h"

namespace vgpu::jit {
namespace {

using testing::kernel;
using testing::Program;

// One thread stores vectors all of whose bytes are the same, another loads them: how many loads saw two of
// them.
size_t tornLoads(const std::string& store, const std::string& load) {
  const Program writer(kernel(store)), reader(kernel(load));
  EXPECT_TRUE(writer.ok()) << writer.log();
  EXPECT_TRUE(reader.ok()) << reader.log();
  struct alignas(16) Vector {
    std::array<uint8_t, 16> bytes{};
  };
  Vector memory;
  std::atomic<bool> over{false};
  std::thread other([&] {
    Vector values[2];
    values[1].bytes.fill(0xff);
    for (size_t i = 0; !over.load(std::memory_order_relaxed); ++i) {
      const void* block[2] = {&values[i % 2], &memory};
      writer.run(block);
    }
  });
  size_t torn = 0;
  for (int i = 0; i < 400'000; ++i) {
    Vector seen;
    const void* block[2] = {&memory, &seen};
    reader.run(block);
    for (const uint8_t byte : seen.bytes) torn += byte != seen.bytes[0] ? 1 : 0;
  }
  over = true;
  other.join();
  return torn;
}

TEST(SharedVectors, AreReadAsTheyWereWritten) {
  const std::string read4 = "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];\n",
                    write4 = "st.global.v4.u32 [%rd2], {%r1, %r2, %r3, %r4};\n";
  EXPECT_EQ(tornLoads(read4 + "st.relaxed.gpu.global.v4.u32 [%rd2], {%r1, %r2, %r3, %r4};\n",
                      "ld.relaxed.gpu.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];\n" + write4),
            0u);
  EXPECT_EQ(
      tornLoads(
          read4 + "st.release.gpu.global.v4.f32 [%rd2], {%r1, %r2, %r3, %r4};\n",
          "ld.acquire.gpu.global.v2.b64 {%rd3, %rd4}, [%rd1];\nst.global.v2.b64 [%rd2], {%rd3, %rd4};\n"),
      0u);
  EXPECT_EQ(tornLoads(read4 + "mov.b64 %rd3, {%r1, %r2};\nst.volatile.global.v2.u64 [%rd2], {%rd3, %rd3};\n",
                      "ld.volatile.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];\n" + write4),
            0u);
}

// Of 64 bits; a part that nobody wants does not change that.
TEST(SharedVectors, AndSoAreShorterOnes) {
  EXPECT_EQ(tornLoads("ld.global.v2.u32 {%r1, %r2}, [%rd1];\nst.volatile.global.v2.u32 [%rd2], {%r1, %r2};\n"
                      "st.volatile.global.v2.u32 [%rd2+8], {%r1, %r2};\n",
                      "ld.volatile.global.v4.u16 {%h1, %h2, _, %h3}, [%rd1];\nmov.b32 %r1, {%h1, %h2};\n"
                      "mov.b32 %r2, {%h3, %h3};\nst.global.v4.u32 [%rd2], {%r1, %r2, %r1, %r2};\n"),
            0u);
}

TEST(SharedVectors, KeepTheirPartsInOrder) {
  const Program program(
      kernel("ld.relaxed.gpu.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];\n"
             "st.relaxed.gpu.global.v4.u32 [%rd2], {%r4, %r3, 7, %r1};\n"
             "ld.volatile.global.v4.s8 {%r5, %r6, %r7, %r8}, [%rd1];\n"
             "st.relaxed.gpu.global.v2.s32 [%rd2+16], {%r5, %r8};\n"
             "ld.relaxed.gpu.global.v2.f64 {%fd1, %fd2}, [%rd1+16];\nadd.f64 %fd1, %fd1, %fd2;\n"
             "st.global.f64 [%rd2+24], %fd1;\n"));
  ASSERT_TRUE(program.ok()) << program.log();
  struct alignas(16) {
    uint32_t words[4] = {0x80000001, 2, 3, 4};
    double values[2] = {1.5, 2.25};
  } in;
  struct alignas(16) {
    uint32_t words[6];
    double sum;
  } out{};
  const void* block[2] = {&in, &out};
  program.run(block);
  EXPECT_EQ(out.words[0], 4u);
  EXPECT_EQ(out.words[1], 3u);
  EXPECT_EQ(out.words[2], 7u);
  EXPECT_EQ(out.words[3], 0x80000001u);
  EXPECT_EQ(out.words[4], 1u);
  EXPECT_EQ(static_cast<int32_t>(out.words[5]), -128);
  EXPECT_EQ(out.sum, 3.75);
}

}  // namespace
}  // namespace vgpu::jit
