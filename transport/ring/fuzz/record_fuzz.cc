// One record as a guest sent it: the first byte is its length in lines, the rest its bytes.
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "transport/ring/record_reader.h"

using namespace vgpu::transport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const size_t lines = data[0];
  const auto record = std::make_unique<IncomingRecord>();
  std::byte* storage = RecordReader::storage(*record);
  std::memset(storage, 0, kMaxRecordLines * kLineBytes);
  std::memcpy(storage, data + 1, std::min(size - 1, kMaxRecordLines * kLineBytes));
  const ChannelLimits limits;
  if (RecordReader::read(*record, lines, 1, limits) != nullptr) return 0;
  volatile uint8_t sum = 0;  // reads every byte, for the address sanitizer to see
  for (const std::byte byte : record->arguments())
    sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(byte));
  for (const std::byte byte : record->data()) sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(byte));
  CHECK(record->arguments().size() + record->data().size() <= lines * kLineBytes);
  const auto copy = std::make_unique<IncomingRecord>();
  RecordReader::copy(*copy, *record);
  CHECK(copy->arguments().size() == record->arguments().size() &&
        copy->data().size() == record->data().size());
  CHECK(record->data().empty() ||
        std::memcmp(copy->data().data(), record->data().data(), record->data().size()) == 0);
  return 0;
}
