// The dispatch of one forwarded row, made from its roles: decode into private storage, check, pass the
// admission point, call the driver, answer. What a row needs beside that is an overload of rangesLive,
// prepared or done below. Runs on the dispatcher; the arguments are the guest's.
#pragma once

#include <array>
#include <tuple>
#include <utility>

#include "mediator/executor/array_size.h"
#include "mediator/executor/handlers.h"
#include "mediator/executor/host_role.h"

namespace vgpu::executor {

template <uint16_t number>
struct Number {};

template <uint16_t number,
          class Indices = std::make_index_sequence<std::tuple_size_v<typename protocol::Row<number>::Roles>>>
class ForwardedCall;

template <uint16_t number, size_t... i>
class ForwardedCall<number, std::index_sequence<i...>> {
  using Row = protocol::Row<number>;
  using Arguments = protocol::Signature<typename Row::VendorFunction>::Tuple;
  template <size_t index>
  using Role =
      HostRole<std::tuple_element_t<index, typename Row::Roles>, std::tuple_element_t<index, Arguments>>;

 public:
  void decode([[maybe_unused]] Decoder& in, [[maybe_unused]] Binding& binding) {
    (get<i>().decode(in, binding), ...);
  }
  CUresult invoke(const Driver& driver) {
    return (driver.*DriverFunction<number>::kMember)(get<i>().pass()...);
  }
  void finish([[maybe_unused]] Binding& binding) { (get<i>().finish(binding), ...); }
  void encode([[maybe_unused]] Encoder& out) { (get<i>().encode(out), ...); }
  bool wantAll() {
    get<0>().wanted = get<1>().wanted = true;
    return true;
  }
  template <size_t index>
  Role<index>& get() {
    return std::get<index>(roles_);
  }

 private:
  std::tuple<Role<i>...> roles_;
};

// ---- what single rows need beside their roles

// Whether all memory that the call touches is live; roles::Address has looked at the first byte only.
template <class Call>
bool rangesLive(Execution&, const Submission&, Call&, auto) {
  return true;
}
// After the driver was called, whether or not it succeeded.
template <class Call>
void settledWith(Binding&, Call&, CUresult, auto) {}
template <class Call>
void settledWith(Binding& binding, Call& call, CUresult status, Number<protocol::call::cuMemMap>) {
  noteMapping(binding.execution, binding.submission, call.template get<0>().value,
              call.template get<1>().value, binding.share, status == CUDA_SUCCESS);
}
// Before the driver is called; false: the row has answered by itself, or will.
template <class Call>
bool prepared(Binding&, Call&, auto) {
  return true;
}
// After the driver has succeeded.
template <class Call>
void done(Binding&, Call&, auto) {}

// a + b x c, or nothing live where that overflows.
inline uint64_t extent(uint64_t last, uint64_t pitch, uint64_t rows) {
  uint64_t bytes;
  if (rows == 0 || last == 0) return 0;
  if (__builtin_mul_overflow(pitch, rows - 1, &bytes) || __builtin_add_overflow(bytes, last, &bytes))
    return UINT64_MAX;
  return bytes;
}

template <class Call>
bool rangesLive(Execution& execution, const Submission& s, Call& call,
                Number<protocol::call::cuMemcpyAsync>) {
  const uint64_t bytes = call.template get<2>().value;
  return execution.covers(s, call.template get<0>().value, bytes) &&
         execution.covers(s, call.template get<1>().value, bytes);
}
template <uint64_t elementBytes, class Call>
bool fillLive(Execution& execution, const Submission& s, Call& call) {
  return execution.covers(s, call.template get<0>().value,
                          product(call.template get<2>().value, elementBytes));
}
template <uint64_t elementBytes, class Call>
bool fill2DLive(Execution& execution, const Submission& s, Call& call) {
  const uint64_t width = product(call.template get<3>().value, elementBytes);
  return execution.covers(s, call.template get<0>().value,
                          extent(width, call.template get<1>().value, call.template get<4>().value));
}
template <class Call>
bool rangesLive(Execution& e, const Submission& s, Call& call, Number<protocol::call::cuMemsetD8Async>) {
  return fillLive<1>(e, s, call);
}
template <class Call>
bool rangesLive(Execution& e, const Submission& s, Call& call, Number<protocol::call::cuMemsetD16Async>) {
  return fillLive<2>(e, s, call);
}
template <class Call>
bool rangesLive(Execution& e, const Submission& s, Call& call, Number<protocol::call::cuMemsetD32Async>) {
  return fillLive<4>(e, s, call);
}
template <class Call>
bool rangesLive(Execution& e, const Submission& s, Call& call, Number<protocol::call::cuMemsetD2D8Async>) {
  return fill2DLive<1>(e, s, call);
}
template <class Call>
bool rangesLive(Execution& e, const Submission& s, Call& call, Number<protocol::call::cuMemsetD2D16Async>) {
  return fill2DLive<2>(e, s, call);
}
template <class Call>
bool rangesLive(Execution& e, const Submission& s, Call& call, Number<protocol::call::cuMemsetD2D32Async>) {
  return fill2DLive<4>(e, s, call);
}
template <class Call>
bool rangesLive(Execution& e, const Submission& s, Call& call,
                Number<protocol::call::cuStreamWriteValue64_v2>) {
  return e.covers(s, call.template get<1>().value, sizeof(uint64_t));
}
template <class Call>
bool rangesLive(Execution& e, const Submission& s, Call& call,
                Number<protocol::call::cuStreamWriteValue32_v2>) {
  return e.covers(s, call.template get<1>().value, sizeof(uint32_t));
}

// A wait for an event whose record is held back is held until that record has started.
template <class Call>
bool prepared(Binding& binding, Call&, Number<protocol::call::cuStreamWaitEvent>) {
  const auto recordHeld = binding.event->recordHeld;
  if (!recordHeld || !*recordHeld) return true;
  return binding.execution.beginWhen(*binding.stream, binding.submission,
                                     [recordHeld] { return !*recordHeld; });
}
// Destroyed when nothing held names them any more, and nobody waits for them.
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuStreamDestroy_v2>) {
  binding.execution.endStream(call.template get<0>().handle);
  binding.execution.posted(binding.submission, CUDA_SUCCESS);
  return false;
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuEventDestroy_v2>) {
  binding.execution.endEvent(call.template get<0>().handle);
  binding.execution.posted(binding.submission, CUDA_SUCCESS);
  return false;
}
template <class Call>
bool prepared(Binding& binding, Call&, Number<protocol::call::cuStreamSynchronize>) {
  Wait wait = binding.execution.waitOf(binding.submission);
  wait.what = Wait::For::Stream;
  wait.stream = binding.stream;
  wait.context = binding.stream->context;
  binding.execution.await(std::move(wait));
  return false;
}
template <class Call>
bool prepared(Binding& binding, Call&, Number<protocol::call::cuEventSynchronize>) {
  Wait wait = binding.execution.waitOf(binding.submission);
  wait.what = Wait::For::Event;
  wait.event = binding.event;
  wait.context = binding.event->context;
  binding.execution.await(std::move(wait));
  return false;
}
template <class Call>
bool prepared(Binding& binding, Call&, Number<protocol::call::cuCtxSynchronize>) {
  binding.execution.await(binding.execution.waitOf(binding.submission));
  return false;
}
// What is held back is not over, whatever the driver says.
template <class Call>
bool prepared(Binding& binding, Call&, Number<protocol::call::cuStreamQuery>) {
  if (binding.stream->queue.held.empty()) return true;
  binding.execution.reply(binding.submission, CUDA_ERROR_NOT_READY);
  return false;
}
template <class Call>
bool prepared(Binding& binding, Call&, Number<protocol::call::cuEventQuery>) {
  if (!binding.event->recordHeld || !*binding.event->recordHeld) return true;
  binding.execution.reply(binding.submission, CUDA_ERROR_NOT_READY);
  return false;
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuCtxDestroy_v2>) {
  destroyContext(binding.execution, binding.submission, call.template get<0>().handle);
  return false;
}
// Memory is mapped into reservations that we make of the driver, block by block.
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuMemMap>) {
  Execution& execution = binding.execution;
  const CUresult status = reserveForMapping(execution, binding.submission, call.template get<0>().value,
                                            call.template get<1>().value);
  if (status == CUDA_SUCCESS) return true;
  if (!execution.lied()) execution.reply(binding.submission, status);
  return false;
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuMemUnmap>) {
  const CUresult status =
      unmapRange(binding.execution, call.template get<0>().value, call.template get<1>().value);
  binding.execution.reply(binding.submission, binding.execution.settled(binding.submission.context, status));
  return false;
}
// The range of a global is needed here, whatever the guest asks for.
template <class Call>
bool prepared(Binding&, Call& call, Number<protocol::call::cuModuleGetGlobal_v2>) {
  return call.wantAll();
}
template <class Call>
bool prepared(Binding&, Call& call, Number<protocol::call::cuLibraryGetGlobal>) {
  return call.wantAll();
}
template <class Call>
bool prepared(Binding&, Call& call, Number<protocol::call::cuLibraryGetManaged>) {
  return call.wantAll();
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuModuleUnload>) {
  forgetCode(binding.execution, binding.execution.objects.modules.find(call.template get<0>().handle));
  return true;
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuLibraryUnload>) {
  forgetCode(binding.execution, binding.execution.objects.libraries.find(call.template get<0>().handle));
  return true;
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuLinkDestroy>) {
  if (!binding.execution.objects.links.find(call.template get<0>().handle)->busy) return true;
  binding.execution.reply(binding.submission, CUDA_ERROR_INVALID_VALUE);
  return false;
}
// The guest may know from a completion number, which is published just before the event, that both are over.
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuEventElapsedTime_v2>) {
  awaitBriefly(binding.execution, call.template get<1>().value);
  awaitBriefly(binding.execution, call.template get<2>().value);
  return true;
}
// What a capture forbids to which thread the guest has checked; all its threads are one here, so the driver
// must not judge.
template <class Call>
bool prepared(Binding&, Call& call, Number<protocol::call::cuStreamBeginCapture_v2>) {
  call.template get<1>().value = CU_STREAM_CAPTURE_MODE_RELAXED;
  return true;
}
// Takes the memory of what the call is about to make; it goes back by itself when the call fails.
inline bool takesMemory(Binding& binding, uint64_t sizeBytes) {
  binding.share = binding.execution.memory.take(sizeBytes);
  if (!binding.share) binding.execution.reply(binding.submission, CUDA_ERROR_OUT_OF_MEMORY);
  return binding.share != nullptr;
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuMemCreate>) {
  call.template get<2>().value.win32HandleMetaData = nullptr;
  return takesMemory(binding, call.template get<1>().value);
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuArrayCreate_v2>) {
  const CUDA_ARRAY_DESCRIPTOR& flat = call.template get<1>().value;
  return takesMemory(binding, arrayBytes({.Width = flat.Width,
                                          .Height = flat.Height,
                                          .Depth = 0,
                                          .Format = flat.Format,
                                          .NumChannels = flat.NumChannels,
                                          .Flags = 0}));
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuArray3DCreate_v2>) {
  return takesMemory(binding, arrayBytes(call.template get<1>().value));
}
template <class Call>
bool prepared(Binding& binding, Call& call, Number<protocol::call::cuMipmappedArrayCreate>) {
  return takesMemory(binding, mipmappedBytes(call.template get<1>().value, call.template get<2>().value));
}

template <class Call>
void done(Binding& binding, Call&, Number<protocol::call::cuStreamBeginCapture_v2>) {
  binding.stream->capturing = true;
  ++binding.execution.activeCaptures;
}
template <class Call>
void done(Binding& binding, Call& call, Number<protocol::call::cuStreamCreateWithPriority>) {
  StreamObject& stream = *call.template get<0>().made;
  stream.queue.isBlocking = !(call.template get<1>().value & CU_STREAM_NON_BLOCKING);
  stream.queue.group = &binding.submission.context->group;
  stream.queue.id = stream.handle.bits();
}
template <class Call>
void done(Binding& binding, Call& call, Number<protocol::call::cuMemGetInfo_v2>) {
  binding.execution.memory.bound(call.template get<0>().value, call.template get<1>().value);
}
template <class Call>
void done(Binding& binding, Call& call, Number<protocol::call::cuModuleGetGlobal_v2>) {
  rememberGlobal(binding.execution, binding.submission, false, call.template get<0>().value,
                 call.template get<1>().value, binding.code);
}
template <class Call>
void done(Binding& binding, Call& call, Number<protocol::call::cuLibraryGetGlobal>) {
  rememberGlobal(binding.execution, binding.submission, false, call.template get<0>().value,
                 call.template get<1>().value, binding.code);
}
template <class Call>
void done(Binding& binding, Call& call, Number<protocol::call::cuLibraryGetManaged>) {
  rememberGlobal(binding.execution, binding.submission, true, call.template get<0>().value,
                 call.template get<1>().value, binding.code);
}

// ---- the dispatch itself

// Rows of a stream that the admission point lets through.
template <uint16_t number>
constexpr bool isStreamOperation() {
  using protocol::Mode;
  namespace call = protocol::call;
  return number != call::cuStreamQuery &&
         (protocol::Row<number>::kMode == Mode::Posted || protocol::Row<number>::kMode == Mode::Call);
}

template <uint16_t number>
void dispatchCall(Execution& execution, Submission& s) {
  using Row = protocol::Row<number>;
  ForwardedCall<number> call;
  Binding binding{execution, s};
  Decoder in(s.arguments);
  call.decode(in, binding);
  if (in.failed()) return execution.lie(s, "is cut short");
  if (execution.lied()) return;
  CUresult status = binding.status;
  if (status == CUDA_SUCCESS && !rangesLive(execution, s, call, Number<number>{}))
    status = CUDA_ERROR_INVALID_VALUE;
  if (status == CUDA_SUCCESS) [[likely]] {
    if (!prepared(binding, call, Number<number>{})) return;
    if constexpr (isStreamOperation<number>()) {
      if (binding.stream && !execution.begin(*binding.stream, s)) return;
    }
    status = call.invoke(execution.driver);
    settledWith(binding, call, status, Number<number>{});
    if (status == CUDA_SUCCESS) [[likely]] {
      call.finish(binding);
      done(binding, call, Number<number>{});
    }
  }
  if constexpr (Row::kMode == protocol::Mode::Posted) {
    execution.posted(s, status);
  } else {
    if constexpr (Row::kMode == protocol::Mode::Blocking) status = execution.settled(s.context, status);
    std::array<std::byte, 1024> space;
    Encoder out(space);
    if (status == CUDA_SUCCESS) call.encode(out);
    execution.reply(s, status, out.bytes());
  }
}

}  // namespace vgpu::executor
