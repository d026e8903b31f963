#include "cpu_driver/kernel/warp_operations.h"

#include <bit>

#include "cpu_driver/kernel/matrix.h"
#include "cpu_driver/kernel/running.h"

namespace vgpu::kernel {
namespace {

constexpr uint64_t kPredicateBit = uint64_t{1} << 32;

template <class Body>
void forEachLane(uint32_t lanes, Body body) {
  for (; lanes != 0; lanes &= lanes - 1) body(static_cast<uint32_t>(std::countr_zero(lanes)));
}

// PTX ISA, shfl.sync: the source lane and whether it lies in the segment.
uint64_t shuffleLane(uint32_t lane, uint32_t arrived, const WarpRequest* const requests[32]) {
  const WarpRequest& own = *requests[lane];
  const uint32_t segment = own.c >> 8 & 31, clamp = own.c & 31, b = own.b & 31;
  const uint32_t maxLane = (lane & segment) | (clamp & ~segment);
  const uint32_t minLane = lane & segment;
  uint32_t source = 0;
  bool inside = false;
  switch (own.mode) {
    case 0:
      source = lane - b, inside = static_cast<int32_t>(source) >= static_cast<int32_t>(maxLane);
      break;
    case 1:
      source = lane + b, inside = source <= maxLane;
      break;
    case 2:
      source = lane ^ b, inside = source <= maxLane;
      break;
    default:
      source = minLane | (b & ~segment), inside = source <= maxLane;
      break;
  }
  if (!inside) source = lane;
  const bool known = source < 32 && (arrived >> source & 1) != 0;
  const uint64_t value = known ? requests[source]->value : own.value;
  return (value & 0xffff'ffffu) | (inside ? kPredicateBit : 0);
}

uint64_t vote(uint32_t mode, uint32_t arrived, uint32_t ballot) {
  switch (mode) {
    case 0:
      return ballot;
    case 1:
      return ballot == arrived;
    case 2:
      return ballot != 0;
    default:
      return ballot == 0 || ballot == arrived;
  }
}

uint32_t reduce(uint32_t mode, uint32_t a, uint32_t b) {
  const auto signedA = static_cast<int32_t>(a), signedB = static_cast<int32_t>(b);
  switch (mode) {
    case 0:
      return a + b;
    case 1:
      return signedA < signedB ? a : b;
    case 2:
      return signedA > signedB ? a : b;
    case 3:
      return a < b ? a : b;
    case 4:
      return a > b ? a : b;
    case 5:
      return a & b;
    case 6:
      return a | b;
    default:
      return a ^ b;
  }
}

void match(uint32_t arrived, const WarpRequest* const requests[32], uint64_t results[32]) {
  const bool any = requests[std::countr_zero(arrived)]->operation == WarpOperation::MatchAny;
  forEachLane(arrived, [&](uint32_t lane) {
    uint32_t equal = 0;
    forEachLane(arrived, [&](uint32_t other) {
      if (requests[other]->value == requests[lane]->value) equal |= 1u << other;
    });
    const bool all = equal == arrived;
    results[lane] = any ? equal : (all ? arrived | kPredicateBit : 0);
  });
}

void matrix(uint32_t arrived, const WarpRequest* const requests[32], uint64_t results[32]) {
  const WarpRequest& first = *requests[std::countr_zero(arrived)];
  MatrixRegisters* lanes[32] = {};
  forEachLane(arrived, [&](uint32_t lane) {
    lanes[lane] = reinterpret_cast<MatrixRegisters*>(requests[lane]->value);
    results[lane] = 0;
  });
  Running* const now = running();  // none where no kernel runs, as in a test of this file
  if (now) ++now->serviceDepth;    // rows lie where the kernel says: a fault there is its own
  completeMatrixOperation(MatrixOperation::unpack(uint64_t{first.c} << 32 | first.b), lanes);
  if (now) --now->serviceDepth;
}

}  // namespace

void completeWarpOperation(uint32_t arrived, const WarpRequest* const requests[32], uint64_t results[32]) {
  if (arrived == 0) return;
  const WarpRequest& first = *requests[std::countr_zero(arrived)];
  switch (first.operation) {
    case WarpOperation::Sync:
      forEachLane(arrived, [&](uint32_t lane) { results[lane] = 0; });
      return;
    case WarpOperation::Shuffle:
      forEachLane(arrived, [&](uint32_t lane) { results[lane] = shuffleLane(lane, arrived, requests); });
      return;
    case WarpOperation::Vote: {
      uint32_t ballot = 0;
      forEachLane(arrived, [&](uint32_t lane) {
        ballot |= static_cast<uint32_t>(requests[lane]->value != 0) << lane;
      });
      forEachLane(arrived, [&](uint32_t lane) { results[lane] = vote(first.mode, arrived, ballot); });
      return;
    }
    case WarpOperation::Redux: {
      auto sum = static_cast<uint32_t>(first.value);
      forEachLane(arrived & (arrived - 1), [&](uint32_t lane) {
        sum = reduce(first.mode, sum, static_cast<uint32_t>(requests[lane]->value));
      });
      forEachLane(arrived, [&](uint32_t lane) { results[lane] = sum; });
      return;
    }
    case WarpOperation::MatchAny:
    case WarpOperation::MatchAll:
      match(arrived, requests, results);
      return;
    case WarpOperation::Matrix:
      return matrix(arrived, requests, results);
  }
}

}  // namespace vgpu::kernel
