// Copies of two and three dimensions, to and from arrays. Compiled twice, as copy.cc is.
#include <algorithm>

#include "shim/cudart/box.h"
#include "shim/cudart/default_stream.h"

namespace vgpu::cudart {
namespace {

// When a copy is done with: at the return of the call, or in the order of a stream.
struct When {
  bool now;
  CUstream stream;
};

When now() { return {true, streamOf(nullptr)}; }
When inOrder(cudaStream_t stream) { return {false, streamOf(stream)}; }

cudaError_t run(const CUDA_MEMCPY3D& copy, When when) {
  if (isEmpty(copy)) return cudaSuccess;
  if (!when.now) return toRuntime(driver::cuMemcpy3DAsync_v2(&copy, when.stream));
  if (kPerThread) return toRuntime(waitDefault(driver::cuMemcpy3DAsync_v2(&copy, when.stream)));
  return toRuntime(driver::cuMemcpy3D_v2(&copy));
}

cudaError_t linear(void* to, size_t toPitch, const void* from, size_t fromPitch, size_t width, size_t height,
                   cudaMemcpyKind kind, When when) {
  return onContext([&] {
    CUmemorytype toType{};
    CUmemorytype fromType{};
    if (cudaError_t error = directions(kind, &toType, &fromType); error != cudaSuccess) return error;
    if (width > toPitch || width > fromPitch) return cudaErrorInvalidPitchValue;
    return run(
        boxCopy(Side::linear(toType, to, toPitch), Side::linear(fromType, from, fromPitch), width, height, 1),
        when);
  });
}

cudaError_t toArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch, size_t width,
                    size_t height, cudaMemcpyKind kind, When when) {
  return onContext([&] {
    CUmemorytype toType{};
    CUmemorytype fromType{};
    if (cudaError_t error = directions(kind, &toType, &fromType); error != cudaSuccess) return error;
    if (width > pitch) return cudaErrorInvalidPitchValue;
    return run(boxCopy(Side::of(to, x, y), Side::linear(fromType, from, pitch), width, height, 1), when);
  });
}

cudaError_t fromArray(void* to, size_t pitch, cudaArray_const_t from, size_t x, size_t y, size_t width,
                      size_t height, cudaMemcpyKind kind, When when) {
  return onContext([&] {
    CUmemorytype toType{};
    CUmemorytype fromType{};
    if (cudaError_t error = directions(kind, &toType, &fromType); error != cudaSuccess) return error;
    if (width > pitch) return cudaErrorInvalidPitchValue;
    return run(boxCopy(Side::linear(toType, to, pitch), Side::of(from, x, y), width, height, 1), when);
  });
}

// One run of bytes of an array: the rest of a row, whole rows, the start of a row.
struct Run {
  size_t x;
  size_t y;
  size_t width;
  size_t height;
};

cudaError_t rowBytesOf(cudaArray_const_t array, size_t* bytes) {
  CUDA_ARRAY3D_DESCRIPTOR descriptor{};
  auto handle = reinterpret_cast<CUarray>(const_cast<cudaArray*>(array));
  if (CUresult result = driver::cuArray3DGetDescriptor_v2(&descriptor, handle); result != CUDA_SUCCESS) {
    return toRuntime(result);
  }
  cudaError_t error = elementBytesOf(handle, bytes);
  *bytes *= descriptor.Width;
  return error;
}

// The deprecated copies count bytes and go on in the next row where one ends.
cudaError_t byRuns(cudaArray_const_t array, size_t x, size_t y, size_t count, auto copyRun) {
  size_t row = 0;
  if (cudaError_t error = rowBytesOf(array, &row); error != cudaSuccess) return error;
  if (x >= row) return cudaErrorInvalidValue;
  for (size_t done = 0; done < count;) {
    Run run{x, y, std::min(count - done, row - x), 1};
    if (x == 0 && count - done >= row) run.height = (count - done) / row;
    if (cudaError_t error = copyRun(run, done); error != cudaSuccess) return error;
    done += run.width * run.height;
    y += run.height;
    x = 0;
  }
  return cudaSuccess;
}

cudaError_t bytesToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t count,
                         cudaMemcpyKind kind, When when) {
  return onContext([&] {
    return byRuns(to, x, y, count, [&](const Run& part, size_t done) {
      const auto* start = static_cast<const std::byte*>(from) + done;
      return toArray(to, part.x, part.y, start, part.width, part.width, part.height, kind, when);
    });
  });
}

cudaError_t bytesFromArray(void* to, cudaArray_const_t from, size_t x, size_t y, size_t count,
                           cudaMemcpyKind kind, When when) {
  return onContext([&] {
    return byRuns(from, x, y, count, [&](const Run& part, size_t done) {
      auto* start = static_cast<std::byte*>(to) + done;
      return fromArray(start, part.width, from, part.x, part.y, part.width, part.height, kind, when);
    });
  });
}

cudaError_t box(const cudaMemcpy3DParms* parameters, When when) {
  return onContext([&] {
    CUDA_MEMCPY3D copy{};
    if (parameters == nullptr) return cudaErrorInvalidValue;
    cudaError_t error = boxCopy(*parameters, &copy);
    return error != cudaSuccess ? error : run(copy, when);
  });
}

cudaError_t peerBox(const cudaMemcpy3DPeerParms* parameters, When when) {
  return onContext([&] {
    CUDA_MEMCPY3D_PEER copy{};
    if (parameters == nullptr) return cudaErrorInvalidValue;
    if (cudaError_t error = boxCopy(*parameters, &copy); error != cudaSuccess) return error;
    if (when.now && !kPerThread) return toRuntime(driver::cuMemcpy3DPeer(&copy));
    CUresult enqueued = driver::cuMemcpy3DPeerAsync(&copy, when.stream);
    return toRuntime(when.now ? waitDefault(enqueued) : enqueued);
  });
}

cudaError_t arrayToArray(cudaArray_t to, size_t toX, size_t toY, cudaArray_const_t from, size_t fromX,
                         size_t fromY, size_t width, size_t height) {
  return onContext([&] {
    return run(boxCopy(Side::of(to, toX, toY), Side::of(from, fromX, fromY), width, height, 1), now());
  });
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaMemcpy2D(void* to, size_t toPitch, const void* from, size_t fromPitch, size_t width,
                         size_t height, cudaMemcpyKind kind) {
  return linear(to, toPitch, from, fromPitch, width, height, kind, now());
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t toPitch, const void* from, size_t fromPitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return linear(to, toPitch, from, fromPitch, width, height, kind, inOrder(stream));
}

cudaError_t cudaMemcpy2DToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch,
                                size_t width, size_t height, cudaMemcpyKind kind) {
  return toArray(to, x, y, from, pitch, width, height, kind, now());
}

cudaError_t cudaMemcpy2DToArrayAsync(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch,
                                     size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return toArray(to, x, y, from, pitch, width, height, kind, inOrder(stream));
}

cudaError_t cudaMemcpy2DFromArray(void* to, size_t pitch, cudaArray_const_t from, size_t x, size_t y,
                                  size_t width, size_t height, cudaMemcpyKind kind) {
  return fromArray(to, pitch, from, x, y, width, height, kind, now());
}

cudaError_t cudaMemcpy2DFromArrayAsync(void* to, size_t pitch, cudaArray_const_t from, size_t x, size_t y,
                                       size_t width, size_t height, cudaMemcpyKind kind,
                                       cudaStream_t stream) {
  return fromArray(to, pitch, from, x, y, width, height, kind, inOrder(stream));
}

cudaError_t cudaMemcpy2DArrayToArray(cudaArray_t to, size_t toX, size_t toY, cudaArray_const_t from,
                                     size_t fromX, size_t fromY, size_t width, size_t height,
                                     cudaMemcpyKind) {
  return arrayToArray(to, toX, toY, from, fromX, fromY, width, height);
}

cudaError_t cudaMemcpyToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t count,
                              cudaMemcpyKind kind) {
  return bytesToArray(to, x, y, from, count, kind, now());
}

cudaError_t cudaMemcpyToArrayAsync(cudaArray_t to, size_t x, size_t y, const void* from, size_t count,
                                   cudaMemcpyKind kind, cudaStream_t stream) {
  return bytesToArray(to, x, y, from, count, kind, inOrder(stream));
}

cudaError_t cudaMemcpyFromArray(void* to, cudaArray_const_t from, size_t x, size_t y, size_t count,
                                cudaMemcpyKind kind) {
  return bytesFromArray(to, from, x, y, count, kind, now());
}

cudaError_t cudaMemcpyFromArrayAsync(void* to, cudaArray_const_t from, size_t x, size_t y, size_t count,
                                     cudaMemcpyKind kind, cudaStream_t stream) {
  return bytesFromArray(to, from, x, y, count, kind, inOrder(stream));
}

// Rows of equal length only: a run that ends in the middle of a row of one array need not do so in the other.
cudaError_t cudaMemcpyArrayToArray(cudaArray_t to, size_t toX, size_t toY, cudaArray_const_t from,
                                   size_t fromX, size_t fromY, size_t count, cudaMemcpyKind) {
  return onContext([&] {
    size_t toRow = 0;
    if (cudaError_t error = rowBytesOf(to, &toRow); error != cudaSuccess) return error;
    return byRuns(from, fromX, fromY, count, [&](const Run& part, size_t done) {
      size_t at = toY * toRow + toX + done;
      bool fits = at % toRow + part.width <= toRow && (part.height == 1 || part.width == toRow);
      if (!fits) return cudaErrorInvalidValue;
      return arrayToArray(to, at % toRow, at / toRow, from, part.x, part.y, part.width, part.height);
    });
  });
}

cudaError_t cudaMemcpy3D(const cudaMemcpy3DParms* parameters) { return box(parameters, now()); }

cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* parameters, cudaStream_t stream) {
  return box(parameters, inOrder(stream));
}

cudaError_t cudaMemcpy3DPeer(const cudaMemcpy3DPeerParms* parameters) { return peerBox(parameters, now()); }

cudaError_t cudaMemcpy3DPeerAsync(const cudaMemcpy3DPeerParms* parameters, cudaStream_t stream) {
  return peerBox(parameters, inOrder(stream));
}

}  // extern "C"
