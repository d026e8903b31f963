// Contexts and guest threads.
#include "mediator/executor/handlers.h"

namespace vgpu::executor {
namespace {

// The object behind a context handle, made on its first use.
ContextObject* contextObject(Execution& execution, Submission& s, uint64_t bits, int device, bool primary) {
  const Handle handle(bits);
  if (primary) {
    if (ContextObject* known = execution.primary(device)) {
      if (known->handle == handle) return known;
      execution.lie(s, "retains a primary context under a second handle");
      return nullptr;
    }
  }
  if (!execution.isFree<Kind::Context>(s, bits)) return nullptr;
  auto made = std::make_unique<ContextObject>();
  made->handle = handle;
  made->device = device;
  made->primary = primary;
  made->legacy.driver = CU_STREAM_LEGACY;
  made->legacy.context = made.get();
  made->legacy.queue.group = &made->group;
  made->legacy.queue.isLegacy = true;
  made->legacy.queue.id = protocol::kLegacyStream;
  made->group.legacy = &made->legacy.queue;
  return &execution.objects.contexts.insert(handle, std::move(made));
}

}  // namespace

void handleThreadContext(Execution& execution, Submission& s,
                         const protocol::messages::ThreadContext& message, Decoder&) {
  ContextObject* context = nullptr;
  if (message.context != 0) {
    context = execution.find<Kind::Context>(s, message.context);
    if (!context) return execution.posted(s, CUDA_ERROR_INVALID_CONTEXT);
  }
  execution.setContext(s.thread, context);
  execution.posted(s, CUDA_SUCCESS);
}

void handleThreadEnded(Execution& execution, Submission& s, const protocol::messages::ThreadEnded&,
                       Decoder&) {
  // Its per-thread streams stay: work may be under way in them, and the next thread of this number goes on in
  // them.
  execution.setContext(s.thread, nullptr);
  execution.posted(s, CUDA_SUCCESS);
}

void handlePrimaryRetain(Execution& execution, Submission& s,
                         const protocol::messages::PrimaryRetain& message, Decoder&) {
  CUdevice device;
  CUresult status = execution.driver.cuDeviceGet(&device, message.device);
  if (status != CUDA_SUCCESS) return execution.reply(s, status);
  ContextObject* context = contextObject(execution, s, message.context, message.device, true);
  if (!context) return;
  CUcontext retained = nullptr;
  status = execution.driver.cuDevicePrimaryCtxRetain(&retained, device);
  if (status == CUDA_SUCCESS) {
    context->driver = retained;
    execution.setPrimary(message.device, context);
  } else if (!execution.primary(message.device)) {
    execution.objects.contexts.remove(context->handle);
  }
  execution.reply(s, status);
}

void handlePrimaryRelease(Execution& execution, Submission& s,
                          const protocol::messages::PrimaryRelease& message, Decoder&) {
  ContextObject* context = execution.primary(message.device);
  if (!context || !context->driver) return execution.reply(s, CUDA_ERROR_INVALID_CONTEXT);
  // The guest counts who retains it, and sends this once, for the last.
  const CUresult kept = execution.settled(context, CUDA_SUCCESS);
  releaseMemoryOf(execution, *context);
  const CUresult status = execution.driver.cuDevicePrimaryCtxRelease_v2(message.device);
  execution.forgetContext(*context);
  execution.reply(s, status != CUDA_SUCCESS ? status : kept);
}

void handlePrimaryReset(Execution& execution, Submission& s, const protocol::messages::PrimaryReset& message,
                        Decoder&) {
  ContextObject* context = execution.primary(message.device);
  if (!context || !context->driver) return execution.reply(s, CUDA_SUCCESS);
  // What a reset drops, failures included, is gone.
  releaseMemoryOf(execution, *context);
  const CUresult status = execution.driver.cuDevicePrimaryCtxReset_v2(message.device);
  execution.forgetContext(*context);
  execution.reply(s, status);
}

void handleContextCreate(Execution& execution, Submission& s,
                         const protocol::messages::ContextCreate& message, Decoder&) {
  CUdevice device;
  CUresult status = execution.driver.cuDeviceGet(&device, message.device);
  if (status != CUDA_SUCCESS) return execution.reply(s, status);
  ContextObject* context = contextObject(execution, s, message.context, message.device, false);
  if (!context) return;
  status = execution.driver.cuCtxCreate_v2(&context->driver, message.flags, device);
  execution.contextChanged();
  if (status != CUDA_SUCCESS) execution.objects.contexts.remove(context->handle);
  execution.reply(s, status);
}

void destroyContext(Execution& execution, Submission& s, Handle handle) {
  ContextObject* context = execution.objects.contexts.find(handle);
  if (context->primary || !context->driver) return execution.reply(s, CUDA_ERROR_INVALID_CONTEXT);
  const CUresult kept = execution.settled(context, CUDA_SUCCESS);
  releaseMemoryOf(execution, *context);
  const CUresult status = execution.driver.cuCtxDestroy_v2(context->driver);
  execution.forgetContext(*context);
  execution.reply(s, status != CUDA_SUCCESS ? status : kept);
}

}  // namespace vgpu::executor
