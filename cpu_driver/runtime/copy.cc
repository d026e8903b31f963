#include "cpu_driver/runtime/copy.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/fault_handler.h"
#include "cpu_driver/runtime/stream.h"

namespace vgpu::cpu {
namespace {

// What fits the caches is likely read next; more would only throw out what is there.
constexpr size_t kStreamFromBytes = size_t{2} << 20;

using StreamingCopy = void (*)(std::byte*, const std::byte*, size_t);

// Each: `destination` aligned to 64, `bytes` a multiple of 64.
__attribute__((target("avx512f"))) void streamAvx512(std::byte* destination, const std::byte* source,
                                                     size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(destination + i), _mm512_loadu_si512(source + i));
  }
}

__attribute__((target("avx"))) void streamAvx(std::byte* destination, const std::byte* source, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    const auto* from = reinterpret_cast<const __m256i*>(source + i);
    auto* to = reinterpret_cast<__m256i*>(destination + i);
    const __m256i low = _mm256_loadu_si256(from), high = _mm256_loadu_si256(from + 1);
    _mm256_stream_si256(to, low);
    _mm256_stream_si256(to + 1, high);
  }
}

void streamSse(std::byte* destination, const std::byte* source, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 16) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(destination + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i)));
  }
}

StreamingCopy chooseStreamingCopy() {
  if (__builtin_cpu_supports("avx512f")) return streamAvx512;
  if (__builtin_cpu_supports("avx")) return streamAvx;
  return streamSse;
}

void copyRow(std::byte* destination, const std::byte* source, size_t bytes) {
  const bool overlap = destination < source + bytes && source < destination + bytes;
  if (bytes < kStreamFromBytes || overlap) {
    std::memmove(destination, source, bytes);
    return;
  }
  static const StreamingCopy kStream = chooseStreamingCopy();
  const size_t lead = -reinterpret_cast<uintptr_t>(destination) & 63;
  std::memcpy(destination, source, lead);
  const size_t middle = (bytes - lead) & ~size_t{63};
  kStream(destination + lead, source + lead, middle);
  _mm_sfence();
  std::memcpy(destination + lead + middle, source + lead + middle, bytes - lead - middle);
}

template <class Element>
void fillRow(std::byte* begin, Element value, size_t elements) {
  auto* row = reinterpret_cast<Element*>(begin);
  std::fill_n(row, elements, value);
}

}  // namespace

void runCopy(CopyPlan plan) {
  const auto dense = [&](const Layout& layout) {
    return plan.height == 1 || layout.pitchBytes == plan.widthBytes;
  };
  const auto denseSlices = [&](const Layout& layout) {
    return plan.depth == 1 || layout.sliceBytes == plan.widthBytes * plan.height;
  };
  if (dense(plan.destination) && dense(plan.source)) {
    const size_t slice = plan.widthBytes * plan.height;
    if (denseSlices(plan.destination) && denseSlices(plan.source)) {
      copyRow(plan.destination.base, plan.source.base, slice * plan.depth);
      return;
    }
    plan.widthBytes = slice;
    plan.height = 1;
  }
  for (size_t z = 0; z < plan.depth; ++z) {
    std::byte* to = plan.destination.base + z * plan.destination.sliceBytes;
    const std::byte* from = plan.source.base + z * plan.source.sliceBytes;
    for (size_t y = 0; y < plan.height; ++y) {
      copyRow(to + y * plan.destination.pitchBytes, from + y * plan.source.pitchBytes, plan.widthBytes);
    }
  }
}

void runFill(const FillPlan& plan) {
  for (size_t y = 0; y < plan.height; ++y) {
    std::byte* row = plan.destination.base + y * plan.destination.pitchBytes;
    switch (plan.elementBytes) {
      case 1:
        std::memset(row, static_cast<int>(plan.value & 255), plan.widthElements);
        break;
      case 2:
        fillRow(row, static_cast<uint16_t>(plan.value), plan.widthElements);
        break;
      default:
        fillRow(row, plan.value, plan.widthElements);
        break;
    }
  }
}

CopyWork::CopyWork(const CopyPlan& plan, std::vector<std::byte> staged)
    : plan_(plan), staged_(std::move(staged)) {
  plan_.source.base = staged_.data();
  plan_.source.pitchBytes = plan.widthBytes;
  plan_.source.sliceBytes = plan.widthBytes * plan.height;
}

Step CopyWork::run(Execution&, Stream& stream) {
  if (!survivesFault([this] { runCopy(plan_); })) stream.context().fail(CUDA_ERROR_ILLEGAL_ADDRESS);
  return Step::Done;
}

Step FillWork::run(Execution&, Stream& stream) {
  if (!survivesFault([this] { runFill(plan_); })) stream.context().fail(CUDA_ERROR_ILLEGAL_ADDRESS);
  return Step::Done;
}

}  // namespace vgpu::cpu
