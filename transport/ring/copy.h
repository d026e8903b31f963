// Copies of bulk data, either process, any thread. `copyOut` writes with the widest non-temporal stores that
// the processor has, because the destination of a large copy is not read again soon and its old lines need
// not be fetched; small copies are plain.
#pragma once

#include <cstddef>

namespace vgpu::transport {

void copyOut(void* to, const void* from, size_t bytes);
// Which stores copyOut uses: "avx512", "avx2", "sse2", "plain".
const char* copyOutKind();

}  // namespace vgpu::transport
