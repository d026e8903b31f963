#include "mediator/executor/object_table.h"

#include <gtest/gtest.h>

namespace vgpu::executor {
namespace {

struct Thing {
  int value = 0;
};
using Things = ObjectTable<Thing, Kind::Event>;

Handle thing(uint32_t index, uint32_t generation = 1) { return Handle(Kind::Event, generation, index); }

TEST(ObjectTable, FindsWhatWasInsertedUnderThatVeryHandle) {
  Things things;
  EXPECT_TRUE(things.isFree(thing(7)));
  things.insert(thing(7), std::make_unique<Thing>(Thing{42}));
  ASSERT_NE(things.find(thing(7)), nullptr);
  EXPECT_EQ(things.find(thing(7))->value, 42);
  EXPECT_FALSE(things.isFree(thing(7)));
  EXPECT_FALSE(things.isFree(thing(7, 2))) << "a slot in use is taken for every generation";
}

TEST(ObjectTable, RefusesAnOldGenerationAfterTheSlotWasUsedAgain) {
  Things things;
  things.insert(thing(0, 1), std::make_unique<Thing>());
  things.remove(thing(0, 1));
  things.insert(thing(0, 2), std::make_unique<Thing>());
  EXPECT_EQ(things.find(thing(0, 1)), nullptr);
  EXPECT_NE(things.find(thing(0, 2)), nullptr);
}

TEST(ObjectTable, AHandleOfAnotherKindOrBeyondTheBoundIsNeverFound) {
  Things things;
  EXPECT_FALSE(Things::plausible(Handle(Kind::Stream, 1, 0)));
  EXPECT_FALSE(Things::plausible(thing(protocol::kMaxObjects)));
  EXPECT_FALSE(Things::plausible(Handle(0x7fff'dead'beef)));
  EXPECT_EQ(things.find(thing(protocol::kMaxObjects)), nullptr);
  EXPECT_FALSE(things.isFree(thing(protocol::kMaxObjects)));
}

TEST(ObjectTable, AReservedSlotIsNeitherFreeNorFound) {
  Things things;
  things.reserve(thing(3));
  EXPECT_FALSE(things.isFree(thing(3)));
  EXPECT_EQ(things.find(thing(3)), nullptr);
  things.insert(thing(3), std::make_unique<Thing>());
  EXPECT_NE(things.find(thing(3)), nullptr);
}

TEST(ObjectTable, ALingeringObjectIsFoundWhileItsSlotIsUsedAgain) {
  Things things;
  things.insert(thing(5, 1), std::make_unique<Thing>(Thing{1}));
  things.linger(thing(5, 1));
  EXPECT_TRUE(things.isFree(thing(5, 2)));
  things.insert(thing(5, 2), std::make_unique<Thing>(Thing{2}));
  EXPECT_EQ(things.find(thing(5, 1))->value, 1);
  EXPECT_EQ(things.find(thing(5, 2))->value, 2);
  EXPECT_EQ(things.takeLingering(thing(5, 1))->value, 1);
  EXPECT_EQ(things.find(thing(5, 1)), nullptr);
}

}  // namespace
}  // namespace vgpu::executor
