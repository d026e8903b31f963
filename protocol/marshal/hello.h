// What the two sides tell each other before the first record. Fixed layouts; each side checks the other's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/marshal/limits.h"

namespace vgpu::protocol {

constexpr uint32_t kProtocolVersion = 1;

// Where the session's range may lie. Tried: these work plain and under the address and thread sanitizers.
constexpr uint64_t kRangeCandidates[] = {0x5510'0000'0000, 0x7e90'0000'0000, 0x5010'0000'0000,
                                         0x4010'0000'0000};
constexpr uint32_t kRangeCandidateCount = sizeof kRangeCandidates / sizeof kRangeCandidates[0];

struct Hello {
  uint32_t protocolVersion;
  uint32_t freeRanges;  // bit i: the guest holds kRangeCandidates[i] reserved
  uint64_t rangeBytes;  // of each; smaller than kSessionRangeBytes under RLIMIT_AS
  int32_t pid;          // as the guest sees itself; for people to read
  uint32_t strict;      // VGPU_STRICT
  char program[64];     // for people to read
};

struct DeviceInfo {
  char name[256];
  uint8_t uuid[16];
  char pciBusId[16];
  uint64_t totalBytes;
  int32_t attributes[kMaxAttributes];
  uint8_t attributeKnown[kMaxAttributes / 8];
};

struct Welcome {
  uint32_t protocolVersion;
  int32_t driverVersion;
  uint64_t rangeBase;
  uint64_t rangeBytes;
  uint64_t granularityBytes;  // of device memory
  uint32_t guardBytes;        // kept free after each allocation, so that running past its end faults
  uint32_t deviceCount;
  uint64_t sessionId;
  uint8_t rows[kMaxCalls * 4 / 8];  // bit n: number n can be called (row numbers are below 4 x kMaxCalls)
};  // then DeviceInfo[deviceCount]

inline bool hasRow(const Welcome& welcome, uint16_t number) {
  return number / 8u < sizeof welcome.rows && (welcome.rows[number / 8] >> number % 8 & 1);
}
inline void setRow(Welcome& welcome, uint16_t number) {
  if (number / 8u < sizeof welcome.rows)
    welcome.rows[number / 8] = static_cast<uint8_t>(welcome.rows[number / 8] | 1 << number % 8);
}

}  // namespace vgpu::protocol
