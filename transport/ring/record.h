// The bytes of a record: what guest and host write into the submission ring, the event ring and the frames of
// a byte stream. Fixed little-endian layout; part of the protocol that kProtocolVersion numbers. Both
// processes use this; a received header is untrusted until a reader has copied it to private memory and
// checked it (record_reader.h).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace vgpu::transport {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian, and read in place");

constexpr uint16_t kProtocolVersion = 1;

constexpr size_t kLineBytes = 64;
// 8 KiB: a launch with the 4 KiB of parameters that every CUDA version allows, with room for inline data.
constexpr size_t kMaxRecordLines = 128;
// Data up to here travels behind the arguments; a window slot costs more than copying it.
constexpr size_t kInlineDataBytes = 2048;
// What a reply carries in its own cache line.
constexpr size_t kReplyInlineBytes = 48;

constexpr uint16_t kNoSlot = 0xffff;
constexpr uint16_t kNoThread = 0xffff;
// A filler before the end of the ring, so that a record lies in one piece. Not a call that users may post.
constexpr uint16_t kPadCall = 0xffff;

enum class Attachment : uint8_t {
  None = 0,
  Upload = 1,    // data for the host: behind the arguments, or in a window slot
  Download = 2,  // room for data to the guest: in a window slot
};

struct RecordHeader {
  uint16_t call;
  uint8_t lines;  // of 64 bytes, this header included
  uint8_t flags;  // bits 0-1 Attachment; bits 2-7 unused bytes of the last line
  uint16_t thread;
  uint16_t slot;  // kNoSlot without one
  uint64_t sequence;
};
static_assert(sizeof(RecordHeader) == 16);

// Follows the header when there is an attachment; then the arguments, then inline data at a multiple of 8.
struct AttachmentHeader {
  uint32_t dataBytes;
  uint32_t argumentBytes;
};
static_assert(sizeof(AttachmentHeader) == 8);

constexpr size_t kMaxArgumentBytes =
    kMaxRecordLines * kLineBytes - sizeof(RecordHeader) - sizeof(AttachmentHeader);
constexpr size_t kMaxEventBytes = 2048;

constexpr uint8_t makeFlags(Attachment attachment, size_t unusedBytes) {
  return static_cast<uint8_t>(static_cast<unsigned>(attachment) | (unusedBytes << 2));
}
constexpr Attachment attachmentOf(uint8_t flags) { return static_cast<Attachment>(flags & 3); }
constexpr size_t unusedBytesOf(uint8_t flags) { return flags >> 2; }
constexpr size_t linesFor(size_t bytes) { return (bytes + kLineBytes - 1) / kLineBytes; }

// What a channel has of everything; the host chooses, the guest checks against the kMost... limits and obeys.
struct ChannelLimits {
  uint32_t ringLines = 4096;        // a power of two
  uint32_t threads = 1024;          // guest threads attached at the same time
  uint32_t eventLines = 1024;       // a power of two
  uint32_t streams = 4096;          // indices whose retired number is published
  uint32_t slots = 16;              // of the data window
  uint32_t slotBytes = 256 * 1024;  // small enough that a few stay in a processor's cache
};

// memcpy that takes an empty span, whose pointer may be null.
inline void copyBytes(std::byte* into, std::span<const std::byte> from) {
  if (!from.empty()) std::memcpy(into, from.data(), from.size());
}

}  // namespace vgpu::transport
