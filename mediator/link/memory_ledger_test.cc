#include "mediator/link/memory_ledger.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

namespace vgpu::link {
namespace {

LedgerPlace placeIn(MemoryLedger& ledger) {
  auto place = LedgerPlace::open(ledger.fd(), ledger.takePlace().value());
  EXPECT_TRUE(place);
  return std::move(*place);
}

TEST(MemoryLedger, SessionsHaveTheLimitTogether) {
  auto ledger = MemoryLedger::make(100);
  ASSERT_TRUE(ledger);
  LedgerPlace first = placeIn(*ledger), second = placeIn(*ledger);
  EXPECT_TRUE(first.take(60));
  EXPECT_FALSE(second.take(41));
  EXPECT_TRUE(second.take(40));
  EXPECT_EQ(first.freeBytes(), 0u);
  first.giveBack(10);
  EXPECT_EQ(second.freeBytes(), 10u);
  EXPECT_EQ(ledger->usedBytes(), 90u);
}

TEST(MemoryLedger, ASessionThatEndsLeavesNothing) {
  auto ledger = MemoryLedger::make(100);
  ASSERT_TRUE(ledger);
  const uint32_t number = ledger->takePlace().value();
  auto place = LedgerPlace::open(ledger->fd(), number);
  ASSERT_TRUE(place && place->take(100));
  ledger->freePlace(number);
  EXPECT_EQ(ledger->usedBytes(), 0u);
  EXPECT_EQ(ledger->takePlace(), number);
}

TEST(MemoryLedger, ASmallerLimitHoldsFromNowOn) {
  auto ledger = MemoryLedger::make(100);
  ASSERT_TRUE(ledger);
  LedgerPlace place = placeIn(*ledger);
  ASSERT_TRUE(place.take(80));
  ledger->setLimit(50);
  EXPECT_EQ(place.freeBytes(), 0u);
  EXPECT_FALSE(place.take(1));
  place.giveBack(40);
  EXPECT_TRUE(place.take(10));
}

TEST(MemoryLedger, ManyAtOnceNeverHaveMoreAndAllOfItIsHadInTheEnd) {
  constexpr uint64_t kLimit = 64;
  auto ledger = MemoryLedger::make(kLimit);
  ASSERT_TRUE(ledger);
  std::vector<LedgerPlace> places;
  for (int i = 0; i < 4; ++i) places.push_back(placeIn(*ledger));
  std::atomic<uint64_t> inUse{0}, most{0};
  std::vector<std::thread> threads;
  for (LedgerPlace& place : places) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        if (!place.take(20)) continue;
        const uint64_t now = inUse.fetch_add(20) + 20;
        uint64_t seen = most.load();
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        inUse.fetch_sub(20);
        place.giveBack(20);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), kLimit);
  EXPECT_TRUE(places[3].take(kLimit));
}

TEST(MemoryLedger, AHostileCounterOnlyMakesTheVgpuFull) {
  auto ledger = MemoryLedger::make(100);
  ASSERT_TRUE(ledger);
  LedgerPlace good = placeIn(*ledger), bad = placeIn(*ledger);
  bad.giveBack(1);  // below zero
  bad.giveBack(1);
  EXPECT_FALSE(good.take(50));
  EXPECT_EQ(good.freeBytes(), 0u);
}

TEST(MemoryLedger, WhatIsNoLedgerIsRefused) {
  const UniqueFd other(::memfd_create("other", 0));
  EXPECT_FALSE(LedgerPlace::open(other.get(), 0));
  auto ledger = MemoryLedger::make(1);
  ASSERT_TRUE(ledger);
  EXPECT_FALSE(LedgerPlace::open(ledger->fd(), kLedgerPlaces));
}

TEST(MemoryLedger, PlacesAreNumbered) {
  auto ledger = MemoryLedger::make(1);
  ASSERT_TRUE(ledger);
  for (uint32_t i = 0; i < kLedgerPlaces; ++i) ASSERT_EQ(ledger->takePlace(), i);
  EXPECT_FALSE(ledger->takePlace());
}

}  // namespace
}  // namespace vgpu::link
