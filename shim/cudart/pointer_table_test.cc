#include "shim/cudart/pointer_table.h"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>
#include <vector>

namespace vgpu::cudart {
namespace {

TEST(PointerTable, findsWhatWasPutAndNothingElse) {
  static PointerTable<int> table;
  std::vector<int> records(5000);
  EXPECT_EQ(table.find(records.data()), nullptr);
  for (int& record : records) table.put(&record, &record);
  for (int& record : records) EXPECT_EQ(table.find(&record), &record);
  int other = 0;
  EXPECT_EQ(table.find(&other), nullptr);
  EXPECT_EQ(table.find(nullptr), nullptr);
}

TEST(PointerTable, replacesTheRecordOfAKey) {
  static PointerTable<int> table;
  int key = 0;
  int record = 0;
  table.put(&key, &key);
  table.put(&key, &record);
  EXPECT_EQ(table.find(&key), &record);
}

TEST(PointerTable, isReadWhileItGrows) {
  static PointerTable<int> table;
  static std::mutex writers;
  static std::vector<int> records(20000);
  std::vector<std::thread> threads;
  for (size_t offset = 0; offset < 2; ++offset) {
    threads.emplace_back([offset] {
      for (size_t i = offset; i < records.size(); i += 2) {
        std::lock_guard lock(writers);
        table.put(&records[i], &records[i]);
      }
    });
    threads.emplace_back([] {
      for (int& record : records) {
        int* found = table.find(&record);
        EXPECT_TRUE(found == nullptr || found == &record);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int& record : records) EXPECT_EQ(table.find(&record), &record);
}

}  // namespace
}  // namespace vgpu::cudart
