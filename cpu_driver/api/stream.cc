#include "cpu_driver/runtime/stream.h"

#include <algorithm>

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

CUresult create(Context& context, CUstream* handle, unsigned flags, int priority) {
  if (!handle || (flags & ~unsigned{CU_STREAM_NON_BLOCKING}) != 0) return CUDA_ERROR_INVALID_VALUE;
  // "If the specified priority is outside [...] it will automatically be clamped."
  priority = std::clamp(priority, kGreatestPriority, kLeastPriority);
  auto stream = std::make_shared<Stream>(context, StreamKind::Created, flags, priority);
  context.add(stream);
  *handle = driver().streams.insert(std::move(stream));
  return *handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult refuseWhileCaptured(const Stream& stream) {
  Captures& captures = driver().captures();
  if (!captures.any()) return CUDA_SUCCESS;
  if (const CUresult refused = captures.refuseWait(stream); refused != CUDA_SUCCESS) return refused;
  return stream.kind() == StreamKind::Legacy ? captures.refuseContextWait(stream.context()) : CUDA_SUCCESS;
}

CUresult destroy(Context& context, CUstream handle) {
  if (!driver().streams.find(handle)) return CUDA_ERROR_INVALID_HANDLE;
  const auto stream = driver().streams.remove(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (driver().captures().any()) driver().captures().forget(*stream);
  // "In case the device is still doing work in the stream [...] the function will return immediately": the
  // work goes on, but as long as it does the legacy stream orders against it.
  stream->context().removeWhenIdle(stream);
  (void)context;
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return withContext([&](Context& context) { return create(context, stream, flags, 0); });
}

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  return withContext([&](Context& context) { return create(context, stream, flags, priority); });
}

CUresult cuStreamDestroy_v2(CUstream handle) {
  return withContext([&](Context& context) { return destroy(context, handle); });
}

CUresult cuStreamGetPriority(CUstream handle, int* priority) {
  return withStream(handle, [&](Context&, Stream& stream) {
    if (!priority) return CUDA_ERROR_INVALID_VALUE;
    *priority = stream.priority();
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamGetFlags(CUstream handle, unsigned* flags) {
  return withStream(handle, [&](Context&, Stream& stream) {
    if (!flags) return CUDA_ERROR_INVALID_VALUE;
    *flags = stream.flags();
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamGetId(CUstream handle, unsigned long long* id) {
  return withStream(handle, [&](Context&, Stream& stream) {
    if (!id) return CUDA_ERROR_INVALID_VALUE;
    *id = stream.id();
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamGetDevice(CUstream handle, CUdevice* device) {
  return withStream(handle, [&](Context&, Stream&) {
    if (!device) return CUDA_ERROR_INVALID_VALUE;
    *device = 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext* context) {
  return withStream(handle, [&](Context&, Stream& stream) {
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    *context = stream.context().handle();
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamGetCtx_v2(CUstream handle, CUcontext* context, CUgreenCtx* green) {
  if (green) *green = nullptr;
  return cuStreamGetCtx(handle, context);
}

CUresult cuStreamQuery(CUstream handle) {
  return withStream(handle, [&](Context& context, Stream& stream) {
    if (const CUresult refused = refuseWhileCaptured(stream); refused != CUDA_SUCCESS) return refused;
    if (!stream.isIdle())
      return context.surfaced() != CUDA_SUCCESS ? context.surfaced() : CUDA_ERROR_NOT_READY;
    return stream.context().surface();
  });
}

CUresult cuStreamSynchronize(CUstream handle) {
  return withStream(handle, [&](Context&, Stream& stream) {
    if (const CUresult refused = refuseWhileCaptured(stream); refused != CUDA_SUCCESS) return refused;
    stream.waitAll();
    return stream.context().surface();
  });
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent eventHandle, unsigned flags) {
  return withStream(handle, [&](Context&, Stream& stream) -> CUresult {
    Event* event = driver().events.find(eventHandle);
    if (!event) return CUDA_ERROR_INVALID_HANDLE;
    if ((flags & ~unsigned{CU_EVENT_WAIT_EXTERNAL}) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (driver().captures().any()) {
      bool taken = false;
      const CUresult result = driver().captures().waitEvent(stream, event->captured(), &taken);
      if (result != CUDA_SUCCESS || taken) return result;
    }
    const auto recording = event->last();
    // An event that was never recorded is over.
    if (!recording || recording->stream->isRetired(recording->sequence)) return CUDA_SUCCESS;
    stream.enqueueLight<WaitWork>(recording->stream, recording->sequence);
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamAttachMemAsync(CUstream handle, CUdeviceptr address, size_t, unsigned flags) {
  return withStream(handle, [&](Context&, Stream&) {
    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST && flags != CU_MEM_ATTACH_SINGLE) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const auto allocation = driver().memory().addresses().find(address);
    if (!allocation || allocation->kind != MemoryKind::Managed) return CUDA_ERROR_INVALID_VALUE;
    // Every processor sees managed memory at all times here, so there is nothing to attach.
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamCopyAttributes(CUstream to, CUstream from) {
  return withContext([&](Context& context) {
    return findStream(context, to) && findStream(context, from) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
  });
}

CUresult cuStreamGetAttribute(CUstream handle, CUstreamAttrID attribute, CUstreamAttrValue* value) {
  return withStream(handle, [&](Context&, Stream& stream) {
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
      case CU_LAUNCH_ATTRIBUTE_PRIORITY:
        value->priority = stream.priority();
        return CUDA_SUCCESS;
      case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
        value->syncPolicy = CU_SYNC_POLICY_AUTO;
        return CUDA_SUCCESS;
      case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        value->accessPolicyWindow = {};
        return CUDA_SUCCESS;
      case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
        value->memSyncDomain = CU_LAUNCH_MEM_SYNC_DOMAIN_DEFAULT;
        return CUDA_SUCCESS;
      default:
        return CUDA_ERROR_INVALID_VALUE;
    }
  });
}

CUresult cuStreamSetAttribute(CUstream handle, CUstreamAttrID attribute, const CUstreamAttrValue* value) {
  return withStream(handle, [&](Context&, Stream&) {
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
      // Hints about a cache and about waiting, which change no result.
      case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
      case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
      case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
      case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
        return CUDA_SUCCESS;
      default:
        return CUDA_ERROR_INVALID_VALUE;
    }
  });
}

}  // extern "C"
