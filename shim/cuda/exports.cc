// Every exported symbol that is not written by hand. A symbol is a jump through a pointer that the compiler
// types by the vendor's declaration: so the stub of a row has exactly that function's type, and no parameter
// list is written twice.
#include "shim/cuda/forward.h"
#include "shim/cuda/refuse.h"

namespace vgpu::shim {

bool needsContext(uint16_t number) {
  switch (number) {
    case protocol::call::cuCtxDestroy_v2:
    case protocol::call::cuDevicePrimaryCtxSetFlags_v2:
    case protocol::call::cuDeviceGetP2PAttribute:
    case protocol::call::cuDeviceGetTexture1DLinearMaxWidth:
    case protocol::call::cuDeviceGetExecAffinitySupport:
    case protocol::call::cuLibraryUnload:
    case protocol::call::cuLibraryGetKernelCount:
    case protocol::call::cuKernelGetAttribute:
    case protocol::call::cuKernelSetAttribute:
    case protocol::call::cuKernelSetCacheConfig:
    case protocol::call::cuGraphDestroy:
    case protocol::call::cuMemCreate:
    case protocol::call::cuMemRelease:
    case protocol::call::cuMemMap:
    case protocol::call::cuMemUnmap:
    case protocol::call::cuMemGetAllocationGranularity:
    case protocol::call::cuMemGetAllocationPropertiesFromHandle:
    case protocol::call::cuMemGetAccess:
      return false;
    default:
      return true;
  }
}

namespace {

struct Names {
#define UNSUPPORTED(symbol, reason) \
  static CUresult symbol() { return refuse(#symbol, reason); }
#include "shim/cuda/unsupported.inc"
#undef UNSUPPORTED
};

// The vendor's type in front of a function that ignores its arguments.
template <CUresult (*answer)(), class Function>
struct Unsupported;
template <CUresult (*answer)(), class... Arguments>
struct Unsupported<answer, CUresult(Arguments...)> {
  static CUresult call(Arguments...) { return answer(); }
};

}  // namespace
}  // namespace vgpu::shim

#define EXPORT_THROUGH(symbol, target)                                                                 \
  extern "C" {                                                                                         \
  extern decltype(&::symbol) const vgpu_export_##symbol;                                               \
  __attribute__((visibility("hidden"), used)) decltype(&::symbol) const vgpu_export_##symbol = target; \
  }                                                                                                    \
  asm(".pushsection .text\n.globl " #symbol "\n.type " #symbol ", @function\n" #symbol                 \
      ":\n\tjmp *vgpu_export_" #symbol "(%rip)\n.size " #symbol ", .-" #symbol "\n.popsection\n");

#define FORWARD(symbol) EXPORT_THROUGH(symbol, &vgpu::shim::Forward<vgpu::protocol::call::symbol>::call)
#define FORWARD_STREAM(symbol) \
  FORWARD(symbol)              \
  EXPORT_THROUGH(symbol##_ptsz, (&vgpu::shim::Forward<vgpu::protocol::call::symbol, true>::call))
#define ALIAS(symbol, target) EXPORT_THROUGH(symbol, &::target)
#include "shim/cuda/exports.inc"

#define UNSUPPORTED(symbol, reason) \
  EXPORT_THROUGH(symbol, (&vgpu::shim::Unsupported<&vgpu::shim::Names::symbol, decltype(::symbol)>::call))
#include "shim/cuda/unsupported.inc"
