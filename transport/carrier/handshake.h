// The first bytes of a connection, on every carrier: the guest's hello, the host's answer. Fixed
// little-endian layout. Both sides treat what they receive as untrusted: magic, version and sizes are checked
// before anything is allocated.
#pragma once

#include <array>
#include <cstring>
#include <span>

#include "transport/ring/record.h"

namespace vgpu::transport {

constexpr std::array<char, 8> kHandshakeMagic = {'V', 'G', 'P', 'U', 'C', 'H', 'A', 'N'};

// Magic and version stay where they are in all versions, so that any two can tell each other what they are.
struct HelloHeader {
  std::array<char, 8> magic;
  uint16_t version;
  uint8_t carrier;  // CarrierKind
  uint8_t reserved;
  uint32_t helloBytes;  // follow
};
static_assert(sizeof(HelloHeader) == 16);

enum class Outcome : uint8_t { Welcome = 0, Refused = 1, WrongVersion = 2 };

struct AnswerHeader {
  std::array<char, 8> magic;
  uint16_t version;
  uint8_t outcome;
  uint8_t reserved;
  uint32_t textBytes;  // of the welcome or the refusal; follow
  int32_t code;        // of the refusal
  uint32_t reserved2;
  ChannelLimits limits;
};
static_assert(sizeof(AnswerHeader) == 48);

inline AnswerHeader makeAnswer(Outcome outcome, size_t textBytes) {
  AnswerHeader answer{};
  answer.magic = kHandshakeMagic;
  answer.version = kProtocolVersion;
  answer.outcome = static_cast<uint8_t>(outcome);
  answer.textBytes = static_cast<uint32_t>(textBytes);
  return answer;
}

template <class T>
std::span<const std::byte> bytesOf(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace vgpu::transport
