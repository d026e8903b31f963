// Streams: made and queried without waiting; only a wait that is not over yet asks the executor.
#include <algorithm>

#include "shim/cuda/capture.h"
#include "shim/cuda/coherence.h"
#include "shim/cuda/completion.h"
#include "shim/cuda/device.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"
#include "shim/session/event_thread.h"

namespace vgpu::shim {

Stream* resolveStream(const Submission& submission, CUstream value, bool perThread) {
  const auto bits = reinterpret_cast<uint64_t>(value);
  Session& session = *submission.session;
  if (bits == protocol::kLegacyStream || (bits == 0 && !perThread))
    return submission.context ? &session.legacyStream(*submission.context) : nullptr;
  if (bits == protocol::kPerThreadStream || bits == 0)
    return submission.context ? &session.perThreadStream(*submission.context) : nullptr;
  return session.streams.find(bits);
}

namespace {

CUresult enterStream(Submission& submission, CUstream value, bool perThread, Stream*& stream) {
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  stream = resolveStream(submission, value, perThread);
  return stream ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult create(CUstream* out, unsigned flags, int priority) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (!out || flags & ~unsigned{CU_STREAM_NON_BLOCKING}) return CUDA_ERROR_INVALID_VALUE;
  auto* stream = new Stream;
  const Handle handle = submission.session->streams.insert(stream);
  if (!handle.wellFormed()) return CUDA_ERROR_OUT_OF_MEMORY;
  stream->wire = handle.bits();
  stream->context = submission.context;
  stream->flags = flags;
  stream->priority = std::clamp(priority, kGreatestPriority, 0);
  stream->id = submission.session->nextId();
  std::array<std::byte, 64> space;
  Encoder arguments(space);
  arguments.put(handle.bits());
  arguments.put(flags);
  arguments.put(stream->priority);
  const CUresult status = post(submission, protocol::call::cuStreamCreateWithPriority, arguments.bytes());
  if (status != CUDA_SUCCESS) {
    submission.session->streams.remove(handle);
    return status;
  }
  *out = reinterpret_cast<CUstream>(handle.bits());
  return CUDA_SUCCESS;
}

CUresult query(CUstream value, bool perThread) {
  Submission submission;
  Stream* stream;
  if (const CUresult status = enterStream(submission, value, perThread, stream); status != CUDA_SUCCESS)
    return status;
  if (const CUresult status = refuseIfCapturing(*stream); status != CUDA_SUCCESS) return status;
  const Progress progress = streamProgress(submission, *stream);
  if (progress == Progress::Done) {
    finishWait(submission);
    return CUDA_SUCCESS;
  }
  if (progress == Progress::Running && !timeToAsk()) return CUDA_ERROR_NOT_READY;
  const CUresult status = call(submission, protocol::call::cuStreamQuery, asBytes(stream->wire)).status;
  if (status == CUDA_SUCCESS) finishWait(submission);
  return status;
}

CUresult synchronize(CUstream value, bool perThread) {
  Submission submission;
  Stream* stream;
  if (const CUresult status = enterStream(submission, value, perThread, stream); status != CUDA_SUCCESS)
    return status;
  if (const CUresult status = refuseIfCapturing(*stream); status != CUDA_SUCCESS) return status;
  return waitForStream(submission, *stream);
}

CUresult waitEvent(CUstream value, CUevent eventValue, unsigned flags, bool perThread) {
  Submission submission;
  Stream* stream;
  if (const CUresult status = enterStream(submission, value, perThread, stream); status != CUDA_SUCCESS)
    return status;
  if (flags & ~unsigned{CU_EVENT_WAIT_EXTERNAL}) return CUDA_ERROR_INVALID_VALUE;
  Event* event = submission.session->events.find(eventValue);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (eventProgress(submission, *event) == Progress::Done && stream->capture.load() == Capture::None)
    return CUDA_SUCCESS;
  std::array<std::byte, 32> space;
  Encoder arguments(space);
  arguments.put(stream->wire);
  arguments.put(event->handle.bits());
  arguments.put(flags);
  uint64_t sequence = 0;
  const CUresult status = post(submission, protocol::call::cuStreamWaitEvent, arguments.bytes(), &sequence);
  stream->posted.raise(sequence);
  return status;
}

CUresult enqueueHostFunction(CUstream value, bool perThread, uint64_t token) {
  Submission submission;
  Stream* stream;
  if (const CUresult status = enterStream(submission, value, perThread, stream); status != CUDA_SUCCESS) {
    forgetHostFunction(token);
    return status;
  }
  uint64_t sequence = 0;
  const CUresult status =
      postMessage<protocol::call::HostFunction>(submission, {stream->wire, token}, &sequence);
  if (status != CUDA_SUCCESS) forgetHostFunction(token);
  stream->posted.raise(sequence);
  submission.session->channel().flush();
  return status;
}

// A function of the program sees what preceded it in the stream, and what follows sees what it wrote: so
// memory that exists twice is made equal around it.
uint64_t registerCoherently(const std::function<void()>& function) {
  return registerHostFunction([function] {
    Submission submission;
    const bool connected = enterSession(submission) == CUDA_SUCCESS;
    if (connected) pullFromDevice(submission);
    runForProgram(function);
    if (connected) pushToDevice(submission);
  });
}

CUresult launchHostFunction(CUstream stream, CUhostFn function, void* argument, bool perThread) {
  if (!function) return CUDA_ERROR_INVALID_VALUE;
  return enqueueHostFunction(stream, perThread, registerCoherently([=] { function(argument); }));
}

CUresult addCallback(CUstream stream, CUstreamCallback callback, void* argument, unsigned flags,
                     bool perThread) {
  if (!callback || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return enqueueHostFunction(stream, perThread,
                             registerCoherently([=] { callback(stream, CUDA_SUCCESS, argument); }));
}

template <class Out, class Get>
CUresult property(CUstream value, bool perThread, Out* out, Get get) {
  Submission submission;
  Stream* stream;
  if (const CUresult status = enterStream(submission, value, perThread, stream); status != CUDA_SUCCESS)
    return status;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  *out = get(*stream);
  return CUDA_SUCCESS;
}

unsigned flagsOf(const Stream& stream) { return stream.flags; }
int priorityOf(const Stream& stream) { return stream.priority; }
unsigned long long idOf(const Stream& stream) { return stream.id; }
CUcontext contextOf(const Stream& stream) {
  return reinterpret_cast<CUcontext>(stream.context->handle.bits());
}
CUdevice deviceOf(const Stream& stream) { return stream.context->device; }

}  // namespace

CUresult waitForStream(const Submission& submission, Stream& stream) {
  const uint64_t upTo = stream.posted.get();
  if (stream.done.get() >= upTo) {
    finishWait(submission);
    return CUDA_SUCCESS;
  }
  const bool over = stream.marked.get() >= upTo && streamProgress(submission, stream) == Progress::Done;
  const CUresult status =
      over ? CUDA_SUCCESS
           : call(submission, protocol::call::cuStreamSynchronize, asBytes(stream.wire)).status;
  if (status != CUDA_SUCCESS) return status;
  streamDone(stream, upTo);
  finishWait(submission);
  return CUDA_SUCCESS;
}

CUresult waitForContext(const Submission& submission) {
  Context& context = *submission.context;
  const uint64_t upTo = context.posted.get();
  if (context.synchronized.get() >= upTo && !context.failed.load(std::memory_order_acquire)) {
    finishWait(submission);
    return CUDA_SUCCESS;
  }
  const CUresult status = call(submission, protocol::call::cuCtxSynchronize, {}).status;
  if (status != CUDA_SUCCESS) return status;
  context.synchronized.raise(upTo);
  finishWait(submission);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim

using namespace vgpu::shim;

VGPU_EXPORT CUresult cuCtxSynchronize() {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (const CUresult status = refuseWhileCapturing(submission); status != CUDA_SUCCESS) return status;
  return waitForContext(submission);
}

VGPU_EXPORT CUresult cuStreamCreate(CUstream* stream, unsigned flags) { return create(stream, flags, 0); }
VGPU_EXPORT CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  return create(stream, flags, priority);
}

VGPU_EXPORT CUresult cuStreamDestroy_v2(CUstream value) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  Stream* stream = session->streams.find(value);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult status = Forward<vgpu::protocol::call::cuStreamDestroy_v2>::call(value);
  if (status == CUDA_SUCCESS) {
    retireStream(*session, *stream);
  }
  return status;
}

#define BOTH_VARIANTS(name, parameters, body, ...)                          \
  VGPU_EXPORT CUresult name parameters { return body(__VA_ARGS__, false); } \
  VGPU_EXPORT CUresult name##_ptsz parameters { return body(__VA_ARGS__, true); }

BOTH_VARIANTS(cuStreamQuery, (CUstream stream), query, stream)
BOTH_VARIANTS(cuStreamSynchronize, (CUstream stream), synchronize, stream)
BOTH_VARIANTS(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags), waitEvent, stream, event,
              flags)
BOTH_VARIANTS(cuLaunchHostFunc, (CUstream stream, CUhostFn function, void* argument), launchHostFunction,
              stream, function, argument)
BOTH_VARIANTS(cuStreamAddCallback,
              (CUstream stream, CUstreamCallback callback, void* argument, unsigned flags), addCallback,
              stream, callback, argument, flags)

#define STREAM_PROPERTY(name, Type, get)                                                              \
  VGPU_EXPORT CUresult name(CUstream stream, Type* out) { return property(stream, false, out, get); } \
  VGPU_EXPORT CUresult name##_ptsz(CUstream stream, Type* out) { return property(stream, true, out, get); }

STREAM_PROPERTY(cuStreamGetFlags, unsigned, flagsOf)
STREAM_PROPERTY(cuStreamGetPriority, int, priorityOf)
STREAM_PROPERTY(cuStreamGetId, unsigned long long, idOf)
STREAM_PROPERTY(cuStreamGetCtx, CUcontext, contextOf)
STREAM_PROPERTY(cuStreamGetDevice, CUdevice, deviceOf)

VGPU_EXPORT CUresult cuCtxSynchronize_v2(CUcontext value) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  if (!value) return cuCtxSynchronize();
  Context* context = session->contexts.find(value);
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  thisThread().contexts.push_back(context);
  const CUresult status = cuCtxSynchronize();
  thisThread().contexts.pop_back();
  return status;
}
