// The _ptsz and _ptds entries: the same calls, whose stream 0 is the calling thread's own default stream.
#include "cpu_driver/api/forward.h"
#include "cpu_driver/runtime/thread_state.h"

extern "C" {

#define PER_THREAD(symbol, suffix, arguments)                 \
  CUresult symbol##suffix(VGPU_DECLARE_##arguments(symbol)) { \
    const vgpu::cpu::PerThreadDefault perThread;              \
    return symbol(VGPU_PASS_##arguments);                     \
  }
#include "cpu_driver/api/per_thread.inc"
#undef PER_THREAD

}  // extern "C"
