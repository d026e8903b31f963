// The calls that are refused, generated from calls.inc: each answers cudaErrorNotSupported, whatever its
// arguments, and its name and reason are told once. No vendor header is included, so that no declaration is
// in the way.
#include "shim/cudart/notice.h"

namespace vgpu::cudart {

int recordNotSupported();  // errors.cc: keeps the thread's last error

namespace {

namespace reason {
#define REASON(key, text) constexpr const char* key = text;
#include "shim/cudart/reasons.inc"
}  // namespace reason

}  // namespace
}  // namespace vgpu::cudart

#define VGPU_REFUSE(name, why)                                   \
  extern "C" __attribute__((visibility("default"))) int name() { \
    vgpu::cudart::noticeOnce(#name, vgpu::cudart::reason::why);  \
    return vgpu::cudart::recordNotSupported();                   \
  }
#define VGPU_REFUSE_Both(name, why) VGPU_REFUSE(name, why)
#if VGPU_CUDART == 12
#define VGPU_REFUSE_Only12(name, why) VGPU_REFUSE(name, why)
#define VGPU_REFUSE_Only13(name, why)
#else
#define VGPU_REFUSE_Only12(name, why)
#define VGPU_REFUSE_Only13(name, why) VGPU_REFUSE(name, why)
#endif
#define RUNTIME(name, versions)
#define REFUSED(name, versions, why) VGPU_REFUSE_##versions(name, why)
#include "shim/cudart/calls.inc"
