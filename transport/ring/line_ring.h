// One ring of 64-byte lines, its two ends: the submission ring (guest produces, host consumes) and the event
// ring (the other way). Each end is used by one thread at a time (its owner locks); each caches the peer's
// index. Records lie in one piece: a filler record covers the end of the ring. The consumer copies each
// record once to private memory; all it reads from the peer is untrusted.
#pragma once

#include <cstring>

#include "transport/ring/record.h"
#include "transport/ring/shared_word.h"

namespace vgpu::transport {

class LineProducer {
 public:
  LineProducer(std::byte* ring, uint32_t ringLines, uint64_t* produced, const uint64_t* consumed)
      : ring_(ring), lines_(ringLines), produced_(produced), consumed_(consumed) {}

  // Room for a record of `lines` in one piece, or nullptr while the ring is full. `sequence` is the one of
  // that record.
  std::byte* place(size_t lines, uint64_t sequence) {
    const size_t position = head_ & (lines_ - 1);
    if (__builtin_expect(position + lines > lines_, 0) && !pad(lines_ - position, lines, sequence))
      return nullptr;
    if (__builtin_expect(!fits(lines), 0)) return nullptr;
    return ring_ + (head_ & (lines_ - 1)) * kLineBytes;
  }
  // The record placed last is complete.
  void publish(size_t lines) {
    head_ += lines;
    storeRelease(produced_, head_);
  }
  // Whether a place() that failed is worth another try. Any thread.
  bool roomAfter(uint64_t consumedSeen) const { return loadRelaxed(consumed_) != consumedSeen; }
  uint64_t consumedSeen() const { return seenConsumed_; }

 private:
  bool fits(size_t lines) {
    if (__builtin_expect(head_ + lines - seenConsumed_ <= lines_, 1)) return true;
    seenConsumed_ = loadAcquire(consumed_);
    // A peer that claims to have consumed what was not produced makes the difference huge: full, for ever,
    // its own loss.
    return head_ - seenConsumed_ <= lines_ && head_ + lines - seenConsumed_ <= lines_;
  }
  bool pad(size_t padLines, size_t lines, uint64_t sequence) {
    if (!fits(padLines + lines)) return false;
    const RecordHeader filler{kPadCall, static_cast<uint8_t>(padLines), 0, kNoThread, kNoSlot, sequence};
    std::memcpy(ring_ + (head_ & (lines_ - 1)) * kLineBytes, &filler, sizeof filler);
    head_ += padLines;
    return true;
  }

  std::byte* ring_;
  uint64_t lines_;
  uint64_t* produced_;
  const uint64_t* consumed_;
  uint64_t head_ = 0;
  uint64_t seenConsumed_ = 0;
};

class LineConsumer {
 public:
  enum class Take { Record, Empty, Broken };

  LineConsumer(const std::byte* ring, uint32_t ringLines, const uint64_t* produced, uint64_t* consumed)
      : ring_(ring), lines_(ringLines), produced_(produced), consumed_(consumed) {}

  // Copies the next record to `into` (kMaxRecordLines lines); lines() says how long it is. Broken: the peer's
  // indices or lengths lie.
  Take take(std::byte* into) {
    for (;;) {
      if (tail_ == seenProduced_) {
        seenProduced_ = loadAcquire(produced_);
        if (tail_ == seenProduced_) return Take::Empty;
        if (seenProduced_ - tail_ > lines_) return Take::Broken;
      }
      const size_t position = tail_ & (lines_ - 1);
      const std::byte* record = ring_ + position * kLineBytes;
      const size_t lines =
          loadRelaxed(reinterpret_cast<const uint8_t*>(record) + offsetof(RecordHeader, lines));
      if (lines == 0 || lines > seenProduced_ - tail_ || lines > lines_ - position || lines > kMaxRecordLines)
        return Take::Broken;
      tail_ += lines;
      if (loadRelaxed(reinterpret_cast<const uint16_t*>(record)) == kPadCall) {
        // Only before the end of the ring: a peer could keep us here for ever with others.
        if (position + lines != lines_) return Take::Broken;
        continue;
      }
      copyLines(into, record, lines);
      taken_ = lines;
      if (tail_ - toldConsumed_ >= lines_ / 8) tellConsumed();
      return Take::Record;
    }
  }
  size_t lines() const { return taken_; }
  bool more() const { return loadAcquire(produced_) != tail_; }
  // Gives the space back to the producer; take() does it now and then, the owner before it waits.
  bool tellConsumed() {
    if (toldConsumed_ == tail_) return false;
    toldConsumed_ = tail_;
    storeRelease(consumed_, tail_);
    return true;
  }
  uint64_t toldConsumed() const { return toldConsumed_; }
  uint64_t consumed() const { return tail_; }

 private:
  static void copyLines(std::byte* into, const std::byte* from, size_t lines) {
    for (size_t i = 0; i < lines; ++i) std::memcpy(into + i * kLineBytes, from + i * kLineBytes, kLineBytes);
  }

  const std::byte* ring_;
  uint64_t lines_;
  const uint64_t* produced_;
  uint64_t* consumed_;
  uint64_t tail_ = 0;
  uint64_t seenProduced_ = 0;
  uint64_t toldConsumed_ = 0;
  size_t taken_ = 0;
};

}  // namespace vgpu::transport
