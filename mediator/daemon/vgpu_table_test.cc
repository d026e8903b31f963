#include "mediator/daemon/vgpu_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace vgpu::daemon {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint64_t kGiB = uint64_t{1} << 30;

VgpuSlice slice(const char* name, uint64_t gibibytes, uint32_t gpu = 0) {
  return {.name = name, .gpu = gpu, .memoryBytes = gibibytes * kGiB, .sharePercent = 10, .profile = "p"};
}

link::DriverReport oneGpu(uint64_t gibibytes) {
  return {13000, "", {{"gpu", "GPU-1", gibibytes * kGiB, 9, 0, 1}}};
}

std::string unhealthy(const VgpuTable& table, const char* name) {
  for (const VgpuView& view : table.list()) {
    if (view.slice.name == name) return view.unhealthy;
  }
  return "no such vGPU";
}

TEST(VgpuTable, AddsRemovesAndKeeps) {
  VgpuTable table;
  auto first = table.update({slice("a", 10), slice("b", 10)}, "/run/x");
  ASSERT_TRUE(first);
  EXPECT_THAT(first->added, SizeIs(2));
  EXPECT_EQ(first->added[0]->socketPath(), "/run/x/a/vgpu.sock");
  auto second = table.update({slice("b", 20), slice("c", 10)}, "/run/x");
  ASSERT_TRUE(second);
  EXPECT_THAT(second->added, SizeIs(1));
  EXPECT_EQ(second->removed.at(0)->slice().name, "a");
  EXPECT_EQ(first->added[1]->slice().memoryBytes, 20 * kGiB);  // the same vGPU, larger
}

TEST(VgpuTable, TellsWhyAVgpuIsUnhealthyAndThatItHasRecovered) {
  VgpuTable table;
  ASSERT_TRUE(table.update({slice("a", 30), slice("b", 30), slice("far", 1, 3)}, "/run/x"));
  EXPECT_THAT(unhealthy(table, "a"), HasSubstr("no executor has reported"));
  table.setDriver(oneGpu(80));
  EXPECT_THAT(unhealthy(table, "a"), IsEmpty());
  EXPECT_THAT(unhealthy(table, "far"), HasSubstr("there is no GPU 3"));
  table.setDriver(oneGpu(50));
  EXPECT_THAT(unhealthy(table, "b"), HasSubstr("together"));
  table.setDriver({0, "it is broken", {}});
  EXPECT_THAT(unhealthy(table, "a"), HasSubstr("it is broken"));
  table.setDriver(oneGpu(80));
  EXPECT_THAT(unhealthy(table, "a"), IsEmpty());
}

TEST(VgpuTable, WhoWaitsIsToldOfChangesOnly) {
  VgpuTable table;
  ASSERT_TRUE(table.update({slice("a", 30)}, "/run/x"));
  table.setDriver(oneGpu(80));
  const uint64_t known = table.generation();
  table.setDriver(oneGpu(80));  // the same again
  EXPECT_EQ(table.waitForChange(known, 1ms), known);
  std::thread changer([&] { table.setDriver({0, "gone", {}}); });
  EXPECT_NE(table.waitForChange(known, 60s), known);
  changer.join();
}

TEST(VgpuTable, ALeaseEndsWithItsExecutor) {
  VgpuTable table;
  auto made = table.update({slice("a", 30)}, "/run/x");
  ASSERT_TRUE(made);
  std::shared_ptr<Vgpu> vgpu = made->added[0];
  auto lease = VgpuLease::take(vgpu);
  ASSERT_TRUE(lease);
  auto place = link::LedgerPlace::open(vgpu->ledger().fd(), lease->place());
  ASSERT_TRUE(place && place->take(kGiB));
  EXPECT_EQ(table.list()[0].usedBytes, kGiB);
  lease.reset();
  EXPECT_EQ(table.list()[0].usedBytes, 0u);
}

}  // namespace
}  // namespace vgpu::daemon
