// How a call travels. See docs/ARCHITECTURE.md, decision 3.
#pragma once

#include <cstdint>

namespace vgpu::protocol {

enum class Mode : uint8_t {
  Posted,    // sent and forgotten; a failure is kept for the next waiting call of its context
  Call,      // the guest thread waits for a reply; the executor answers in ring order
  Blocking,  // as Call, but the answer waits for the GPU: what it enqueues is done in ring order, the wait
             // runs beside
  Aside,     // as Call, but long without waiting for the GPU (module load, link, large allocation): the work
             // itself runs beside the dispatcher. Legal because only the calling thread could know of its
             // effects before the reply.
};

// Set in a record's call number when the guest waits for a reply although the row is Posted (VGPU_STRICT):
// the executor runs it, waits for its context, and answers with the outcome. Row numbers stay below it.
constexpr uint16_t kWantsReply = 0x4000;

}  // namespace vgpu::protocol
