// What every entry point does first: is the driver initialised, which context is current, has it failed,
// which stream is meant. Entry points run on the program's threads (or an executor's, which calls on their
// behalf). Arguments are the program's: pointers are used as natively, handles may be anything.
#pragma once

#include <new>
#include <utility>

#include "cpu_driver/runtime/driver.h"
#include "cpu_driver/runtime/thread_state.h"
#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

// The current context, alive and without a failure that the program has seen.
inline CUresult enter(Context** context) {
  if (!initialised()) return CUDA_ERROR_NOT_INITIALIZED;
  ThreadState& thread = threadState();
  if (thread.inHostFunction) return CUDA_ERROR_NOT_PERMITTED;
  const CUcontext current = thread.current();
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  *context = driver().findContext(current);
  if (!*context) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  return (*context)->surfaced();
}

// No exception crosses the C interface; the only one that can come is the lack of memory.
template <class Body, class... Arguments>
CUresult guarded(Body&& body, Arguments&... arguments) {
  try {
    return body(arguments...);
  } catch (const std::bad_alloc&) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
}

template <class Body>
CUresult withDriver(Body&& body) {
  if (!initialised()) return CUDA_ERROR_NOT_INITIALIZED;
  return guarded(body);
}

template <class Body>
CUresult withContext(Body&& body) {
  Context* context = nullptr;
  if (const CUresult error = enter(&context); error != CUDA_SUCCESS) return error;
  return guarded(body, *context);
}

// A call that must not happen while a stream is captured (see Captures::refuseUnsafe).
template <class Body>
CUresult withContextUncaptured(Body&& body) {
  return withContext([&](Context& context) -> CUresult {
    if (driver().captures().any()) {
      if (const CUresult refused = driver().captures().refuseUnsafe(); refused != CUDA_SUCCESS)
        return refused;
    }
    return body(context);
  });
}

inline Stream* findStream(Context& context, CUstream handle) {
  if (handle == nullptr)
    return threadState().perThreadDefault ? &context.perThreadStream() : &context.legacyStream();
  if (handle == CU_STREAM_LEGACY) return &context.legacyStream();
  if (handle == CU_STREAM_PER_THREAD) return &context.perThreadStream();
  return driver().streams.find(handle);
}

template <class Body>
CUresult withStream(CUstream handle, Body&& body) {
  return withContext([&](Context& context) -> CUresult {
    Stream* stream = findStream(context, handle);
    return stream ? body(context, *stream) : CUDA_ERROR_INVALID_HANDLE;
  });
}

// Submits work, or takes it into the capture that the stream is in. A failure of the context shows here.
template <class Submit>
CUresult submit(Stream& stream, CUgraphNodeType type, Submit&& function) {
  if (const CUresult error = stream.context().surface(); error != CUDA_SUCCESS) return error;
  if (driver().captures().any()) {
    bool taken = false;
    const CUresult result = driver().captures().take(stream, type, function, &taken);
    if (result != CUDA_SUCCESS || taken) return result;
  }
  function(stream);
  return CUDA_SUCCESS;
}

// Whether the stream records instead of running.
inline bool capturing(const Stream& stream) {
  uint64_t id = 0;
  return driver().captures().status(stream, &id) != CU_STREAM_CAPTURE_STATUS_NONE;
}

}  // namespace vgpu::cpu
