// The byte-stream carrier's frames: one fixed header, then payloadBytes. Guest to host: records with their
// data. Host to guest: everything that lies in the shared mapping on other carriers. Little-endian, fixed;
// part of kProtocolVersion. FrameReader parses them incrementally, from whatever pieces the stream comes in;
// its sink checks each header before a byte of the payload is received, and says where the payload goes.
// Either process, one thread at a time; all bytes are untrusted.
#pragma once

#include <sys/types.h>

#include <array>
#include <memory>
#include <span>
#include <string>

#include "transport/ring/record.h"

namespace vgpu::transport {

enum class FrameType : uint16_t {
  // guest to host
  Record = 1,  // index: lines; payload: the record in whole lines, then the data of an upload that has a slot
  WaitRetired = 2,  // stream, sequence: tell at once when it has retired
  // host to guest
  Reply = 16,     // index: thread; stream: slot or kNoSlot; status, sequence; payload
  Download = 17,  // index: slot; status, sequence; payload
  Release = 18,   // index: slot; sequence
  Retired = 19,   // stream, sequence
  Event = 20,     // index: kind; sequence; payload
};

struct FrameHeader {
  uint32_t payloadBytes = 0;
  uint16_t type = 0;
  uint16_t index = 0;
  uint32_t stream = 0;
  int32_t status = 0;
  uint64_t sequence = 0;
};
static_assert(sizeof(FrameHeader) == 24);

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // Where payload bytes from `offset` on go: called at offset 0 (also for an empty payload, as the check of
  // the header) and again when what it gave is full. May be shorter than the rest, never longer and never
  // empty unless the rest is. Returns false with `wrong` set to refuse.
  virtual bool place(const FrameHeader& header, size_t offset, std::span<std::byte>& into,
                     const char*& wrong) = 0;
  virtual bool complete(const FrameHeader& header, const char*& wrong) = 0;
};

class FrameReader {
 public:
  enum class Outcome { Frame, WouldBlock, Closed, Broken };

  FrameReader() : buffer_(new std::byte[kBufferBytes]) {}

  // Parses up to the end of the next frame, reading the socket without blocking. Broken: wrong() says why.
  Outcome readFrame(int socket, FrameSink& sink);
  // The same from what was read ahead, without a system call.
  Outcome parseBuffered(FrameSink& sink) { return parse(sink); }
  // The same from `bytes`, for tests: takes what it uses off their front.
  Outcome feed(std::span<const std::byte>& bytes, FrameSink& sink);
  const char* wrong() const { return wrong_; }

 private:
  // Small frames come many at a time; of large payloads all but this much is received in place.
  static constexpr size_t kBufferBytes = 16 * 1024;

  Outcome parse(FrameSink& sink);
  bool nextPlace(FrameSink& sink);
  ssize_t receiveBoth(int socket);
  size_t takeBuffered(std::byte* into, size_t bytes);

  std::unique_ptr<std::byte[]> buffer_;
  size_t begin_ = 0, end_ = 0;
  FrameHeader header_{};
  size_t headerBytes_ = 0;  // of it that have arrived
  size_t payloadDone_ = 0;
  std::span<std::byte> place_;  // what is still to be filled of the current place
  const char* wrong_ = nullptr;
};

}  // namespace vgpu::transport
