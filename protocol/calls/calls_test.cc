#include "protocol/calls/calls.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "protocol/calls/names.h"
#include "protocol/marshal/hello.h"

namespace vgpu::protocol {
namespace {

TEST(CallTable, NumbersAndNamesAreUnique) {
  std::set<uint16_t> numbers;
  std::set<std::string> names;
  for (const RowInfo& row : kRows) {
    EXPECT_TRUE(numbers.insert(row.number).second) << row.name;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

TEST(CallTable, EveryNumberFitsTheBitmapOfTheWelcome) {
  for (const RowInfo& row : kRows) {
    Welcome welcome{};
    EXPECT_FALSE(hasRow(welcome, row.number));
    setRow(welcome, row.number);
    EXPECT_TRUE(hasRow(welcome, row.number)) << row.name;
  }
}

TEST(CallTable, NameAndIndexAgreeWithTheRows) {
  for (size_t i = 0; i < callCount(); ++i) {
    EXPECT_EQ(callIndex(callNumber(i)), i);
    EXPECT_EQ(callName(callNumber(i)), kRows[i].name);
  }
  EXPECT_EQ(callName(0x0fff), "");
  EXPECT_EQ(callIndex(0xffff), callCount());
}

TEST(Handle, CarriesKindGenerationAndIndex) {
  const Handle handle(Kind::Event, 77, 123456);
  EXPECT_TRUE(handle.wellFormed());
  EXPECT_EQ(handle.kind(), Kind::Event);
  EXPECT_EQ(handle.generation(), 77u);
  EXPECT_EQ(handle.index(), 123456u);
  EXPECT_FALSE(Handle(0x7fff'1234'5678).wellFormed());
}

}  // namespace
}  // namespace vgpu::protocol
