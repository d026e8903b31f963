// Linear copies. Compiled twice: the null stream is the legacy default stream here, the thread's own in the
// _ptds and _ptsz copy.
#include "shim/cudart/default_stream.h"
#include "shim/cudart/registry.h"

namespace vgpu::cudart {
namespace {

CUdeviceptr deviceAddress(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

CUresult enqueueCopy(void* to, const void* from, size_t count, cudaMemcpyKind kind, CUstream stream) {
  switch (kind) {
    case cudaMemcpyHostToDevice:
      return driver::cuMemcpyHtoDAsync_v2(deviceAddress(to), from, count, stream);
    case cudaMemcpyDeviceToHost:
      return driver::cuMemcpyDtoHAsync_v2(to, deviceAddress(from), count, stream);
    case cudaMemcpyDeviceToDevice:
      return driver::cuMemcpyDtoDAsync_v2(deviceAddress(to), deviceAddress(from), count, stream);
    default:
      return driver::cuMemcpyAsync(deviceAddress(to), deviceAddress(from), count, stream);
  }
}

CUresult copyNow(void* to, const void* from, size_t count, cudaMemcpyKind kind) {
  if (kPerThread) {
    CUresult enqueued = enqueueCopy(to, from, count, kind, streamOf(nullptr));
    return kind == cudaMemcpyDeviceToDevice ? enqueued : waitDefault(enqueued);
  }
  switch (kind) {
    case cudaMemcpyHostToDevice:
      return driver::cuMemcpyHtoD_v2(deviceAddress(to), from, count);
    case cudaMemcpyDeviceToHost:
      return driver::cuMemcpyDtoH_v2(to, deviceAddress(from), count);
    case cudaMemcpyDeviceToDevice:
      return driver::cuMemcpyDtoD_v2(deviceAddress(to), deviceAddress(from), count);
    default:
      return driver::cuMemcpy(deviceAddress(to), deviceAddress(from), count);
  }
}

bool isKind(cudaMemcpyKind kind) { return kind >= cudaMemcpyHostToHost && kind <= cudaMemcpyDefault; }

cudaError_t copy(void* to, const void* from, size_t count, cudaMemcpyKind kind) {
  return onContext([&] {
    if (!isKind(kind)) return cudaErrorInvalidMemcpyDirection;
    return count == 0 ? cudaSuccess : toRuntime(copyNow(to, from, count, kind));
  });
}

cudaError_t copyAsync(void* to, const void* from, size_t count, cudaMemcpyKind kind, cudaStream_t stream) {
  return onContext([&] {
    if (!isKind(kind)) return cudaErrorInvalidMemcpyDirection;
    return count == 0 ? cudaSuccess : toRuntime(enqueueCopy(to, from, count, kind, streamOf(stream)));
  });
}

// The part of a variable that a symbol copy means.
cudaError_t symbolRange(const void* symbol, size_t offset, size_t count, void** address) {
  CUdeviceptr base = 0;
  size_t size = 0;
  if (cudaError_t error = registry.variable(symbol, &base, &size); error != cudaSuccess) return error;
  if (offset > size || count > size - offset) return cudaErrorInvalidValue;
  *address = reinterpret_cast<void*>(base + offset);
  return cudaSuccess;
}

cudaError_t toSymbol(const void* symbol, size_t offset, size_t count, cudaMemcpyKind kind, auto copyTo) {
  return onContext([&] {
    bool allowed =
        kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice || kind == cudaMemcpyDefault;
    if (!allowed) return cudaErrorInvalidMemcpyDirection;
    void* address = nullptr;
    cudaError_t error = symbolRange(symbol, offset, count, &address);
    return error != cudaSuccess || count == 0 ? error : toRuntime(copyTo(address));
  });
}

cudaError_t fromSymbol(const void* symbol, size_t offset, size_t count, cudaMemcpyKind kind, auto copyFrom) {
  return onContext([&] {
    bool allowed =
        kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice || kind == cudaMemcpyDefault;
    if (!allowed) return cudaErrorInvalidMemcpyDirection;
    void* address = nullptr;
    cudaError_t error = symbolRange(symbol, offset, count, &address);
    return error != cudaSuccess || count == 0 ? error : toRuntime(copyFrom(address));
  });
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaMemcpy(void* to, const void* from, size_t count, cudaMemcpyKind kind) {
  return copy(to, from, count, kind);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t count, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return copyAsync(to, from, count, kind, stream);
}

cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, size_t count, size_t offset,
                               cudaMemcpyKind kind) {
  return toSymbol(symbol, offset, count, kind, [&](void* to) { return copyNow(to, from, count, kind); });
}

cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, size_t count, size_t offset,
                                 cudaMemcpyKind kind) {
  return fromSymbol(symbol, offset, count, kind, [&](void* from) { return copyNow(to, from, count, kind); });
}

cudaError_t cudaMemcpyToSymbolAsync(const void* symbol, const void* from, size_t count, size_t offset,
                                    cudaMemcpyKind kind, cudaStream_t stream) {
  return toSymbol(symbol, offset, count, kind,
                  [&](void* to) { return enqueueCopy(to, from, count, kind, streamOf(stream)); });
}

cudaError_t cudaMemcpyFromSymbolAsync(void* to, const void* symbol, size_t count, size_t offset,
                                      cudaMemcpyKind kind, cudaStream_t stream) {
  return fromSymbol(symbol, offset, count, kind,
                    [&](void* from) { return enqueueCopy(to, from, count, kind, streamOf(stream)); });
}

}  // extern "C"
