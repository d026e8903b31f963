#include "transport/ring/copy.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vgpu::transport {

namespace {

// Below this the destination is likely wanted in the cache, and the fence at the end would show.
constexpr size_t kLeastStreamedBytes = 32 * 1024;

using Copy = void (*)(std::byte* to, const std::byte* from, size_t lines);

#if defined(__x86_64__)
// Far enough ahead to hide a miss at these rates; the source is usually in the cache, where prefetching costs
// nothing.
constexpr size_t kPrefetchBytes = 1024;

__attribute__((target("avx512f"))) void streamLines512(std::byte* to, const std::byte* from, size_t lines) {
  for (size_t i = 0; i < lines; ++i, to += 64, from += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from) + kPrefetchBytes, _MM_HINT_T0);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), _mm512_loadu_si512(from));
  }
}

__attribute__((target("avx2"))) void streamLines256(std::byte* to, const std::byte* from, size_t lines) {
  for (size_t i = 0; i < lines; ++i, to += 64, from += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from) + kPrefetchBytes, _MM_HINT_T0);
    const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), first);
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + 32), second);
  }
}

void streamLines128(std::byte* to, const std::byte* from, size_t lines) {
  for (size_t i = 0; i < lines * 4; ++i, to += 16, from += 16)
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

struct Chosen {
  Copy copy;
  const char* name;
};

Chosen choose() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return {streamLines512, "avx512"};
  if (__builtin_cpu_supports("avx2")) return {streamLines256, "avx2"};
  return {streamLines128, "sse2"};
}

const Chosen& chosen() {
  static const Chosen one = choose();
  return one;
}
#endif

}  // namespace

void copyOut(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
#if defined(__x86_64__)
  if (bytes >= kLeastStreamedBytes) {
    auto* out = static_cast<std::byte*>(to);
    auto* in = static_cast<const std::byte*>(from);
    const size_t head = (64 - (reinterpret_cast<uintptr_t>(out) & 63)) & 63;
    std::memcpy(out, in, head);
    const size_t lines = (bytes - head) / 64;
    chosen().copy(out + head, in + head, lines);
    _mm_sfence();
    const size_t done = head + lines * 64;
    std::memcpy(out + done, in + done, bytes - done);
    return;
  }
#endif
  std::memcpy(to, from, bytes);
}

const char* copyOutKind() {
#if defined(__x86_64__)
  return chosen().name;
#else
  return "plain";
#endif
}

}  // namespace vgpu::transport
