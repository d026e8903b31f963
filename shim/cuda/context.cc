// Contexts: primary and created, and each thread's stack of current ones, which only the guest keeps.
#include "shim/cuda/completion.h"
#include "shim/cuda/device.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/refuse.h"

namespace vgpu::shim {
namespace {

struct PrimaryState {
  std::mutex mutex;
  int retained = 0;
  unsigned flags = 0;
};
PrimaryState& primaryState(int device) {
  static auto* states = new std::array<PrimaryState, protocol::kMaxDevices>;
  return (*states)[static_cast<size_t>(device)];
}

template <class Object, class Table>
std::vector<Object*> objectsOf(const Table& table, const Context& context) {
  std::vector<Object*> found;
  table.forEach([&](Object& object) {
    if (object.context == &context) found.push_back(&object);
  });
  return found;
}

// A program may still hold their handles, which must not name anything any more.
void forgetStreamsAndEvents(Session& session, const Context& context) {
  for (Stream* stream : objectsOf<Stream>(session.streams, context)) {
    if (session.streams.remove(Handle(stream->wire))) retireStream(session, *stream);
  }
  for (Event* event : objectsOf<Event>(session.events, context)) session.events.remove(event->handle);
}

// What a context leaves behind when it is gone: nothing of it is current, and a new one starts clean.
void forgetContext(Session& session, Context& context) {
  context.alive.store(false);
  context.sticky.store(CUDA_SUCCESS);
  forgetStreamsAndEvents(session, context);
  std::vector<Allocation> gone;
  session.allocations().forEach([&](const Allocation& allocation) {
    if (allocation.context == &context) gone.push_back(allocation);
  });
  for (const Allocation& allocation : gone) {
    session.allocations().remove(allocation.address);
    if (session.addresses().contains(allocation.address))
      session.addresses().free(allocation.address, allocation.sizeBytes);
  }
}

CUresult findContext(CUcontext value, Context*& context) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  context = session->contexts.find(value);
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  return CUDA_SUCCESS;
}

CUcontext asHandle(const Context* context) {
  return context ? reinterpret_cast<CUcontext>(context->handle.bits()) : nullptr;
}

// Flags that a context can have (cuda.h, CUctx_flags).
bool validFlags(unsigned flags) {
  const unsigned schedule = flags & CU_CTX_SCHED_MASK;
  const bool one = schedule == 0 || schedule == CU_CTX_SCHED_SPIN || schedule == CU_CTX_SCHED_YIELD ||
                   schedule == CU_CTX_SCHED_BLOCKING_SYNC;
  return one && (flags & ~unsigned{CU_CTX_FLAGS_MASK}) == 0;
}

CUresult retain(Submission& submission, PrimaryState& state, int device) {
  Context& context = submission.session->primary(device);
  if (state.retained == 0) {
    const CUresult status =
        callMessage<protocol::call::PrimaryRetain>(submission, {context.handle.bits(), device, 0});
    if (status != CUDA_SUCCESS) return status;
    context.flags = state.flags;
    context.alive.store(true);
  }
  ++state.retained;
  return CUDA_SUCCESS;
}

CUresult createContext(CUcontext* out, unsigned flags, CUdevice device) {
  const protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!out || !validFlags(flags)) return CUDA_ERROR_INVALID_VALUE;
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  Context* context = makeContext(*submission.session, device, false);
  const CUresult status =
      callMessage<protocol::call::ContextCreate>(submission, {context->handle.bits(), flags, device});
  if (status != CUDA_SUCCESS) {
    submission.session->contexts.remove(context->handle);
    return status;
  }
  context->flags = flags;
  thisThread().contexts.push_back(context);
  *out = asHandle(context);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;

VGPU_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext* out, CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  PrimaryState& state = primaryState(device);
  std::lock_guard lock(state.mutex);
  if (const CUresult status = retain(submission, state, device); status != CUDA_SUCCESS) return status;
  *out = asHandle(&submission.session->primary(device));
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  PrimaryState& state = primaryState(device);
  std::lock_guard lock(state.mutex);
  if (state.retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (--state.retained > 0) return CUDA_SUCCESS;
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  const CUresult status = callMessage<vgpu::protocol::call::PrimaryRelease>(submission, {device});
  forgetContext(*submission.session, submission.session->primary(device));
  return status;
}

VGPU_EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  PrimaryState& state = primaryState(device);
  std::lock_guard lock(state.mutex);
  if (state.retained == 0) return CUDA_SUCCESS;
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  const CUresult status = callMessage<vgpu::protocol::call::PrimaryReset>(submission, {device});
  forgetContext(*submission.session, submission.session->primary(device));
  // What was retained stays so: the next use finds a fresh context under the same handle.
  if (status != CUDA_SUCCESS) return status;
  const CUresult again = callMessage<vgpu::protocol::call::PrimaryRetain>(
      submission, {submission.session->primary(device).handle.bits(), device, 0});
  submission.session->primary(device).alive.store(again == CUDA_SUCCESS);
  thisThread().announced = nullptr;
  return again;
}

VGPU_EXPORT CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!validFlags(flags)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult status = Forward<vgpu::protocol::call::cuDevicePrimaryCtxSetFlags_v2>::call(device, flags);
  if (status != CUDA_SUCCESS) return status;
  PrimaryState& state = primaryState(device);
  std::lock_guard lock(state.mutex);
  state.flags = flags;
  Session::get()->primary(device).flags = flags;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  const vgpu::protocol::DeviceInfo* info;
  if (const CUresult status = findDevice(device, info); status != CUDA_SUCCESS) return status;
  if (!flags || !active) return CUDA_ERROR_INVALID_VALUE;
  PrimaryState& state = primaryState(device);
  std::lock_guard lock(state.mutex);
  *flags = state.flags;
  *active = state.retained > 0;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxCreate_v2(CUcontext* out, unsigned flags, CUdevice device) {
  return createContext(out, flags, device);
}

VGPU_EXPORT CUresult cuCtxCreate_v3(CUcontext* out, CUexecAffinityParam*, int count, unsigned flags,
                                    CUdevice device) {
  return count != 0 ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : createContext(out, flags, device);
}

VGPU_EXPORT CUresult cuCtxCreate_v4(CUcontext* out, CUctxCreateParams* parameters, unsigned flags,
                                    CUdevice device) {
  if (parameters && (parameters->numExecAffinityParams != 0 || parameters->cigParams))
    return refuse("cuCtxCreate_v4 with parameters", "partitions of a device");
  return createContext(out, flags, device);
}

VGPU_EXPORT CUresult cuCtxDestroy_v2(CUcontext value) {
  Context* context;
  if (const CUresult status = findContext(value, context); status != CUDA_SUCCESS) return status;
  if (context->primary) return CUDA_ERROR_INVALID_CONTEXT;
  ThreadState& thread = thisThread();
  // Popped first: the executor must not be told of a current context that it is about to destroy.
  if (thread.current() == context) thread.contexts.pop_back();
  if (thread.announced == context) thread.announced = nullptr;
  Session& session = *Session::get();
  const CUresult status = Forward<vgpu::protocol::call::cuCtxDestroy_v2>::call(value);
  if (status == CUDA_SUCCESS) forgetContext(session, *context);
  return status;
}

VGPU_EXPORT CUresult cuCtxPushCurrent_v2(CUcontext value) {
  Context* context;
  if (const CUresult status = findContext(value, context); status != CUDA_SUCCESS) return status;
  thisThread().contexts.push_back(context);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxPopCurrent_v2(CUcontext* out) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  ThreadState& thread = thisThread();
  if (thread.contexts.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (out) *out = asHandle(thread.contexts.back());
  thread.contexts.pop_back();
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxSetCurrent(CUcontext value) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  Context* context = nullptr;
  if (value) {
    if (const CUresult status = findContext(value, context); status != CUDA_SUCCESS) return status;
  }
  thisThread().setCurrent(context);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxGetCurrent(CUcontext* out) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  *out = asHandle(thisThread().current());
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxGetDevice(CUdevice* device) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  Context* context = thisThread().current();
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  *device = context->device;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxGetFlags(unsigned* flags) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  Context* context = thisThread().current();
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  if (!flags) return CUDA_ERROR_INVALID_VALUE;
  *flags = context->flags;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxGetId(CUcontext value, unsigned long long* id) {
  Context* context;
  if (!value && Session::get()) value = asHandle(thisThread().current());
  if (const CUresult status = findContext(value, context); status != CUDA_SUCCESS) return status;
  if (!id) return CUDA_ERROR_INVALID_VALUE;
  *id = context->id;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxGetApiVersion(CUcontext value, unsigned* version) {
  Context* context;
  if (!value && Session::get()) value = asHandle(thisThread().current());
  if (const CUresult status = findContext(value, context); status != CUDA_SUCCESS) return status;
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  *version = 3020;  // what every driver since CUDA 3.2 reports
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  if (!thisThread().current()) return CUDA_ERROR_INVALID_CONTEXT;
  if (least) *least = 0;
  if (greatest) *greatest = kGreatestPriority;
  return CUDA_SUCCESS;
}

// A session sees one device, so no other context's device can be a peer.
VGPU_EXPORT CUresult cuCtxEnablePeerAccess(CUcontext value, unsigned flags) {
  Context* context;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult status = findContext(value, context); status != CUDA_SUCCESS) return status;
  return thisThread().current() == context ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
}

VGPU_EXPORT CUresult cuCtxDisablePeerAccess(CUcontext value) {
  Context* context;
  const CUresult status = findContext(value, context);
  return status != CUDA_SUCCESS ? status : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

VGPU_EXPORT CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext value) {
  Context* context;
  if (!value) return cuCtxGetDevice(device);
  if (const CUresult status = findContext(value, context); status != CUDA_SUCCESS) return status;
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  *device = context->device;
  return CUDA_SUCCESS;
}

// All writes of remote peers go through the executor in order.
VGPU_EXPORT CUresult cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget,
                                                CUflushGPUDirectRDMAWritesScope) {
  return Session::get() ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_NOT_INITIALIZED;
}
