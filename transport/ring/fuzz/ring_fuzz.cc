// The submission ring as a hostile guest leaves it: the input is the lines, the producer's index is what its
// first bytes say, and changes between looks. Whatever is in there, the consumer stays inside the ring and a
// record inside its own bytes.
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "transport/ring/line_ring.h"
#include "transport/ring/record_reader.h"

using namespace vgpu::transport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint32_t kLines = 256;
  if (size < 16) return 0;
  uint64_t indices[2];
  std::memcpy(indices, data, sizeof indices);
  data += 16;
  size -= 16;
  // Exactly the ring, so that a byte beyond it is seen.
  const std::unique_ptr<std::byte[]> ring(new std::byte[kLines * kLineBytes]());
  std::memcpy(ring.get(), data, std::min(size, kLines * kLineBytes));
  uint64_t produced = indices[0] % (4 * kLines);
  uint64_t consumed = 0;
  LineConsumer consumer(ring.get(), kLines, &produced, &consumed);
  const auto record = std::make_unique<IncomingRecord>();
  const ChannelLimits limits;
  for (uint64_t sequence = 1; sequence < 1000; ++sequence) {
    const LineConsumer::Take take = consumer.take(RecordReader::storage(*record));
    if (take == LineConsumer::Take::Broken) break;
    if (take == LineConsumer::Take::Empty) {
      if (indices[1] == 0) break;
      produced += indices[1] % 300;
      indices[1] /= 2;
      continue;
    }
    if (RecordReader::read(*record, consumer.lines(), sequence, limits) != nullptr) break;
    const auto* begin = RecordReader::storage(*record);
    const auto* end = begin + consumer.lines() * kLineBytes;
    CHECK(record->arguments().data() >= begin &&
          record->arguments().data() + record->arguments().size() <= end);
    CHECK(record->data().empty() ||
          (record->data().data() >= begin && record->data().data() + record->data().size() <= end));
    CHECK(record->slot() == kNoSlot || record->slot() < limits.slots);
    CHECK(record->dataBytes() <= limits.slotBytes && record->thread() < limits.threads);
  }
  return 0;
}
