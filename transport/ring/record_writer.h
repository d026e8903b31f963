// Writes a record's header in front of its arguments. Runs in the guest, under the producers' lock.
#pragma once

#include <cstring>

#include "transport/ring/record.h"

namespace vgpu::transport {

struct RecordShape {
  uint16_t call = 0;
  uint16_t thread = kNoThread;
  uint16_t slot = kNoSlot;
  Attachment attachment = Attachment::None;
  size_t argumentBytes = 0;
  size_t dataBytes = 0;

  size_t argumentsOffset() const {
    return attachment == Attachment::None ? sizeof(RecordHeader)
                                          : sizeof(RecordHeader) + sizeof(AttachmentHeader);
  }
  bool dataInline() const { return attachment == Attachment::Upload && slot == kNoSlot; }
  size_t inlineDataOffset() const { return (argumentsOffset() + argumentBytes + 7) / 8 * 8; }
  size_t bytes() const {
    return dataInline() ? inlineDataOffset() + dataBytes : argumentsOffset() + argumentBytes;
  }
  size_t lines() const { return linesFor(bytes()); }
};

// Returns where the arguments go.
inline std::byte* writeHeader(std::byte* place, const RecordShape& shape, uint64_t sequence) {
  const size_t bytes = shape.bytes();
  const size_t lines = linesFor(bytes);
  const RecordHeader header{shape.call,
                            static_cast<uint8_t>(lines),
                            makeFlags(shape.attachment, lines * kLineBytes - bytes),
                            shape.thread,
                            shape.slot,
                            sequence};
  std::memcpy(place, &header, sizeof header);
  if (shape.attachment != Attachment::None) {
    const AttachmentHeader attached{static_cast<uint32_t>(shape.dataBytes),
                                    static_cast<uint32_t>(shape.argumentBytes)};
    std::memcpy(place + sizeof header, &attached, sizeof attached);
  }
  return place + shape.argumentsOffset();
}

}  // namespace vgpu::transport
