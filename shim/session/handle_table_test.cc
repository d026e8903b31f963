#include "shim/session/handle_table.h"

#include <gtest/gtest.h>

namespace vgpu::shim {
namespace {

using Table = HandleTable<int, protocol::Kind::Event>;

TEST(HandleTable, FindsWhatWasInserted) {
  Table table;
  int object = 1;
  const auto handle = table.insert(&object);
  EXPECT_EQ(table.find(handle.bits()), &object);
}

TEST(HandleTable, DestroyedHandleStaysDeadWhenItsSlotIsUsedAgain) {
  Table table;
  int first = 1, second = 2;
  const auto old = table.insert(&first);
  EXPECT_EQ(table.remove(old), &first);
  const auto fresh = table.insert(&second);
  EXPECT_EQ(fresh.index(), old.index());
  EXPECT_EQ(table.find(old.bits()), nullptr);
  EXPECT_EQ(table.find(fresh.bits()), &second);
  EXPECT_EQ(table.remove(old), nullptr);
}

TEST(HandleTable, ForeignValuesAreNotHandles) {
  Table table;
  int object = 1;
  const auto handle = table.insert(&object);
  EXPECT_EQ(table.find(uint64_t{0}), nullptr);
  EXPECT_EQ(table.find(uint64_t{0x7fff'dead'beef}), nullptr);
  EXPECT_EQ(table.find(protocol::Handle(protocol::Kind::Stream, handle.generation(), handle.index()).bits()),
            nullptr);
  EXPECT_EQ(table.find(protocol::Handle(protocol::Kind::Event, handle.generation(), 999999).bits()), nullptr);
}

}  // namespace
}  // namespace vgpu::shim
