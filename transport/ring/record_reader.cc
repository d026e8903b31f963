#include "transport/ring/record_reader.h"

#include <cstring>

namespace vgpu::transport {

const char* RecordReader::read(IncomingRecord& record, size_t lines, uint64_t expectedSequence,
                               const ChannelLimits& limits) {
  RecordHeader& header = record.header_;
  std::memcpy(&header, record.bytes_.data(), sizeof header);
  if (header.lines != lines || lines == 0 || lines > kMaxRecordLines)
    return "a record's length is out of range or changed";
  if (header.call == kPadCall) return "a filler where a record was expected";
  if (header.sequence != expectedSequence) return "a record's sequence is not the next one";
  if (header.thread >= limits.threads) return "a record's thread is out of range";

  const size_t bytes = lines * kLineBytes - unusedBytesOf(header.flags);
  if (bytes < sizeof header) return "a record is shorter than its header";
  record.attachment_ = attachmentOf(header.flags);
  record.data_ = {};
  if (record.attachment_ != Attachment::None) return readAttachment(record, bytes, limits);
  if (header.slot != kNoSlot) return "a record names a slot without an attachment";
  record.argumentsOffset_ = sizeof header;
  record.argumentBytes_ = static_cast<uint32_t>(bytes - sizeof header);
  record.dataBytes_ = 0;
  return nullptr;
}

void RecordReader::copy(IncomingRecord& to, const IncomingRecord& from) {
  to.header_ = from.header_;
  to.attachment_ = from.attachment_;
  to.argumentsOffset_ = from.argumentsOffset_;
  to.argumentBytes_ = from.argumentBytes_;
  to.dataBytes_ = from.dataBytes_;
  to.data_ = from.data_;
  std::memcpy(to.bytes_.data(), from.bytes_.data(), from.header_.lines * kLineBytes);
  if (from.header_.slot == kNoSlot && !from.data_.empty())
    to.data_ = {to.bytes_.data() + (from.data_.data() - from.bytes_.data()), from.data_.size()};
}

const char* RecordReader::readAttachment(IncomingRecord& record, size_t bytes, const ChannelLimits& limits) {
  constexpr size_t kOffset = sizeof(RecordHeader) + sizeof(AttachmentHeader);
  AttachmentHeader attached;
  if (bytes < kOffset) return "a record is shorter than its attachment's header";
  std::memcpy(&attached, record.bytes_.data() + sizeof(RecordHeader), sizeof attached);
  if (attached.argumentBytes > bytes - kOffset) return "a record's arguments are longer than the record";
  if (attached.dataBytes > limits.slotBytes) return "a record's data is larger than a slot";
  record.argumentsOffset_ = kOffset;
  record.argumentBytes_ = attached.argumentBytes;
  record.dataBytes_ = attached.dataBytes;

  const uint16_t slot = record.header_.slot;
  if (record.attachment_ == Attachment::Upload && slot == kNoSlot) {
    const size_t offset = (kOffset + attached.argumentBytes + 7) / 8 * 8;
    if (offset > bytes || attached.dataBytes > bytes - offset)
      return "a record's inline data is longer than the record";
    record.data_ = {record.bytes_.data() + offset, attached.dataBytes};
    return nullptr;
  }
  if (record.attachment_ != Attachment::Upload && record.attachment_ != Attachment::Download)
    return "a record's attachment is of no known kind";
  if (slot >= limits.slots) return "a record's slot is out of range";
  return nullptr;
}

}  // namespace vgpu::transport
