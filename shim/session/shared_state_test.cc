#include "shim/session/shared_state.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <type_traits>
#include <vector>

namespace vgpu::shim {
namespace {

using Map = std::map<int, int>;

// Static destructors of a program may still use it.
static_assert(std::is_trivially_destructible_v<SharedState<Map>>);

// A library that is loaded runs no code for it.
constinit SharedState<Map> counts;

TEST(SharedState, OneThreadAtATimeHasIt) {
  constexpr int kThreads = 4, kRounds = 1000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < kRounds; ++i) ++(*counts.lock())[i];
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto seen = counts.lock();
  EXPECT_EQ(seen->size(), size_t{kRounds});
  for (const auto& [key, count] : *seen) EXPECT_EQ(count, kThreads) << key;
}

}  // namespace
}  // namespace vgpu::shim
