// RecordReader: turns the private copy of a record that a guest sent into an IncomingRecord, or says what is
// wrong with it. Runs in the executor's dispatcher. Every byte is untrusted; nothing of the shared memory is
// looked at here.
#pragma once

#include "transport/ring/host_channel.h"

namespace vgpu::transport {

class RecordReader {
 public:
  static std::byte* storage(IncomingRecord& record) { return record.bytes_.data(); }

  // `record`'s storage holds `lines` lines. nullptr when all is well, otherwise what the guest did wrong.
  // Data in a slot is left empty: setSlotData attaches it once the channel has found the slot free.
  static const char* read(IncomingRecord& record, size_t lines, uint64_t expectedSequence,
                          const ChannelLimits& limits);
  // A record that was read elsewhere, with its inline data; data in a slot is not copied.
  static void copy(IncomingRecord& to, const IncomingRecord& from);
  static void setSlotData(IncomingRecord& record, std::span<const std::byte> data) { record.data_ = data; }

 private:
  static const char* readAttachment(IncomingRecord& record, size_t bytes, const ChannelLimits& limits);
};

}  // namespace vgpu::transport
