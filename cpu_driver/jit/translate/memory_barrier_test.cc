// mbarrier and asynchronous copies, one thread, as the PTX ISA words them (9.7.13.15, 9.7.9.25).
#include "cpu_driver/jit/translate/translate_testing.h"

namespace vgpu::jit {
namespace {

using testing::Operation;

// `code` between the barrier's making and a test of whether phase 0 has ended.
bool endsFirstPhase(std::string_view arrivals, const std::string& code) {
  const std::string text = "mbarrier.init.shared.b64 [64], " + std::string(arrivals) + "; " + code +
                           " mbarrier.test_wait.parity.shared.b64 d, [64], 0;";
  return Operation("pr", text).operator()<uint32_t>(0u) != 0;
}

TEST(MemoryBarrier, APhaseEndsWithItsLastArrival) {
  EXPECT_FALSE(endsFirstPhase("2", ""));
  EXPECT_FALSE(endsFirstPhase("2", "mbarrier.arrive.shared.b64 _, [64];"));
  EXPECT_TRUE(endsFirstPhase("2", "mbarrier.arrive.shared.b64 _, [64]; mbarrier.arrive.shared.b64 _, [64];"));
  EXPECT_TRUE(endsFirstPhase("7", "mbarrier.arrive.release.cta.shared::cta.b64 _, [64], 7;"));
}

TEST(MemoryBarrier, BytesHoldThePhaseOpen) {
  const std::string expect = "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [64], 48;";
  EXPECT_FALSE(endsFirstPhase("1", expect));
  EXPECT_FALSE(endsFirstPhase("1", expect + "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [64], 32;"));
  EXPECT_TRUE(endsFirstPhase("1", expect + "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [64], 48;"));
  // A copy may be over before it is announced.
  EXPECT_FALSE(endsFirstPhase("1", "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [64], 48;"));
  EXPECT_TRUE(endsFirstPhase("1", "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [64], 48;" + expect));
}

TEST(MemoryBarrier, WhoDropsIsNotExpectedAgain) {
  const std::string first = "mbarrier.arrive_drop.shared.b64 _, [64]; mbarrier.arrive.shared.b64 _, [64];";
  Operation second(
      "pr", "mbarrier.init.shared.b64 [64], 2; " + first +
                "mbarrier.arrive.shared.b64 _, [64]; mbarrier.test_wait.parity.shared.b64 d, [64], 1;");
  EXPECT_TRUE(endsFirstPhase("2", first));
  EXPECT_EQ(second.operator()<uint32_t>(0u), 1u);
}

TEST(MemoryBarrier, AStateNamesItsPhase) {
  Operation waits(
      "prr",
      "{ .reg .b64 s; .reg .pred q; mbarrier.init.shared.b64 [64], 2; mbarrier.arrive.shared.b64 s, [64];"
      "setp.ne.u32 q, a, 0; @q mbarrier.arrive.shared.b64 _, [64];"
      "mbarrier.try_wait.shared.b64 d, [64], s, 1000; }");
  EXPECT_EQ(waits.operator()<uint32_t>(0u, 0u), 0u);
  EXPECT_EQ(waits.operator()<uint32_t>(1u, 0u), 1u);
}

TEST(MemoryBarrier, AStateTellsWhatWasPending) {
  Operation pending("rr",
                    "{ .reg .b64 s; mbarrier.init.shared.b64 [64], 5; mbarrier.arrive.shared.b64 _, [64], a;"
                    "mbarrier.arrive.shared.b64 s, [64]; mbarrier.pending_count.b64 d, s; }");
  EXPECT_EQ(pending.operator()<uint32_t>(2u), 3u);
}

TEST(AsynchronousCopy, TheBytesBeyondTheSourceAreZero) {
  Operation copy("lr",
                 "{ .reg .b64 g; cp.async.ca.shared.global [128], [%rd1], 16, a; cp.async.commit_group;"
                 "cp.async.wait_group 0; ld.shared.b64 d, [128]; }");
  EXPECT_EQ(copy.operator()<uint64_t>(5u), 5u);
  EXPECT_EQ(copy.operator()<uint64_t>(1u), 1u);
  EXPECT_EQ(copy.operator()<uint64_t>(0u), 0u);
}

// The hint is the last operand, with and without the source's size.
TEST(AsynchronousCopy, AHintIsNoSize) {
  Operation copy("lrl",
                 "cp.async.cg.shared.global.L2::cache_hint [128], [%rd1], 16, b; ld.shared.b64 d, [136];"),
      sized("lrl",
            "cp.async.cg.shared.global.L2::cache_hint [128], [%rd1], 16, a, b; ld.shared.b64 d, [136];");
  EXPECT_EQ(copy.operator()<uint64_t>(8u, uint64_t{77}), 77u);
  EXPECT_EQ(sized.operator()<uint64_t>(8u, uint64_t{77}), 0u);
}

TEST(AsynchronousCopy, ABulkCopyTellsItsBarrier) {
  Operation copy("lll",
                 "{ .reg .pred q; mbarrier.init.shared.b64 [64], 1;"
                 "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [128], [%rd1], 16, [64];"
                 "mbarrier.arrive.expect_tx.shared.b64 _, [64], 16;"
                 "mbarrier.try_wait.parity.shared.b64 q, [64], 0;"
                 "mov.b64 d, 0; @q ld.shared.b64 d, [136]; }");
  EXPECT_EQ(copy.operator()<uint64_t>(uint64_t{1}, uint64_t{99}), 99u);
  Operation back(
      "lll",
      "st.shared.v2.b64 [128], {b, a}; cp.async.bulk.global.shared::cta.bulk_group [%rd1], [128], 16;"
      "cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0; ld.global.b64 d, [%rd1];");
  EXPECT_EQ(back.operator()<uint64_t>(uint64_t{1}, uint64_t{99}), 99u);
}

TEST(AsynchronousCopy, AStoreMayTellABarrier) {
  Operation store(
      "lr",
      "{ .reg .pred q; mbarrier.init.shared.b64 [64], 1;"
      "mbarrier.arrive.expect_tx.shared.b64 _, [64], 4;"
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [128], a, [64];"
      "mbarrier.test_wait.parity.shared.b64 q, [64], 0; mov.b64 d, 0; @q ld.shared.u32 d, [128]; }");
  EXPECT_EQ(store.operator()<uint64_t>(321u), 321u);
}

TEST(AsynchronousCopy, TensorMapsAreRefusedByName) {
  testing::Program program(
      testing::kernel("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                      "[128], [%rd1, {%r1, %r2}], "
                      "[64];"));
  EXPECT_FALSE(program.ok());
  EXPECT_EQ(program.kind(), TranslateError::Kind::Unsupported);
  EXPECT_THAT(program.log(), ::testing::HasSubstr("cp.async.bulk.tensor.2d"));
}

}  // namespace
}  // namespace vgpu::jit
